import pytest
from transformers import BertConfig, GPT2Config, LlamaConfig, PretrainedConfig

from tests.trainers.training.memory.conftest import QWEN3_4B_CONFIG
from trainers.components.students import Full, Lora, Probe, make_student
from trainers.models.pool import ModelPool
from trainers.models.settings import HubModel, ToyModel
from trainers.training.memory.model_size import count_weights, room_for
from trainers.training.memory.room import trained_and_frozen
from trainers.training.settings import EngineConfig


def test_the_weights_of_qwen3_4b_by_hand() -> None:
    found = count_weights(QWEN3_4B_CONFIG, answers_with_words=True)
    attention = 2 * 2560 * 4096 + 2 * 2560 * 1024  # queries and output, keys and values
    layer = attention + 3 * 2560 * 9728 + 2 * 2560 + 2 * 128  # and the norms
    assert found.body == 151_936 * 2560 + 36 * layer + 2560 == 4_022_468_096
    assert found.attention == 36 * (2 * (2560 + 4096) + 2 * (2560 + 1024))
    assert found.mlp == 36 * 3 * (2560 + 9728)
    assert found.head == 0
    assert count_weights(QWEN3_4B_CONFIG, answers_with_words=False).head == 2 * 2560 + 2
    # The published LoRA of rank 32 on all seven projections: 66 million.
    assert trained_and_frozen(Lora(rank=32), found) == (32 * (found.attention + found.mlp), found.body)
    assert trained_and_frozen(Lora(rank=32), found)[0] == 66_060_288


@pytest.mark.parametrize("readout", ["head", "label_tokens"])
@pytest.mark.parametrize("student", [Full(), Lora(rank=3), Lora(rank=2, target="mlp"), Probe()])
def test_counts_are_those_of_real_students(
    student: Full | Lora | Probe, readout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = ToyModel.model_validate({"size": "weak", "readout": readout})
    words = (4, 7) if readout == "label_tokens" else None
    made = make_student(
        student, ModelPool(model, cache=tmp_path_factory.mktemp("cache")), seed=0, words=words
    )
    here = room_for(model, EngineConfig(), 1.0, 1)
    assert here is not None
    trained, frozen = trained_and_frozen(student, here.weights)
    if isinstance(student, Probe):
        assert frozen == here.weights.body
        return
    assert trained == sum(parameter.numel() for parameter in made.parameters)
    assert trained + frozen == sum(parameter.numel() for parameter in made.module.parameters())


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(
            hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20
        ),
        GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20),
        LlamaConfig(
            hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20
        ),
    ],
)
def test_other_bodies_are_counted_too(config: PretrainedConfig) -> None:
    found = count_weights(config, answers_with_words=False)
    assert found.attention >= 4 * 2 * 8 or config.model_type == "gpt2"
    # 4 projections of 8 + 8 (of 8 + 24 and 8 + 8 in GPT-2); 2 of 8 + 16 (8 + 32), or 3 if gated.
    by_hand = {"bert": (64, 48), "gpt2": (48, 80), "llama": (64, 72)}[config.model_type]
    assert (found.attention, found.mlp) == by_hand


def test_a_vocabulary_of_its_own_counts(shared: object) -> None:
    tied = LlamaConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20
    )
    apart = LlamaConfig(**{**tied.to_dict(), "tie_word_embeddings": False})
    both = LlamaConfig(**{**tied.to_dict(), "tie_word_embeddings": True})
    more = (
        count_weights(apart, answers_with_words=True).body - count_weights(both, answers_with_words=True).body
    )
    assert more == 20 * 8


def test_a_hub_models_room_is_that_of_its_settings(minilm: object) -> None:
    here = room_for(HubModel(path=str(minilm), max_length=128), EngineConfig(), 2.0, 1)
    assert here is not None
    assert (here.length, here.half, here.gb) == (128, False, 2.0)
    # 22.6 million parameters without the pooler of all-MiniLM-L6-v2.
    assert here.weights.body == 22_713_216 - (384 * 384 + 384)
    assert here.refused(Full(), 32) is None
