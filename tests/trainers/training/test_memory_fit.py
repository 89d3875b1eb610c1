import pytest
from pydantic import ValidationError
from transformers import BertConfig, GPT2Config, LlamaConfig, PretrainedConfig, Qwen3Config

from trainers.components.students import Full, Lora, Probe, make_student
from trainers.method import Abilities, Method
from trainers.models.hub import HubModel
from trainers.models.pool import ModelPool
from trainers.models.toy_model import ToyModel
from trainers.training.deepspeed_engine import EngineConfig
from trainers.training.memory import ModelShape
from trainers.training.memory_fit import Room, count_weights, room_for, trained_and_frozen

# The published shape of Qwen3-4B.
QWEN3_4B = Qwen3Config(
    vocab_size=151_936,
    hidden_size=2560,
    intermediate_size=9728,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    tie_word_embeddings=True,
)


def room(gb: float, **more: object) -> Room:
    settings = {
        "gb": gb,
        "shape": ModelShape.of(QWEN3_4B),
        "weights": count_weights(QWEN3_4B, answers_with_words=True),
        "length": 1024,
        "half": True,
        "engine": EngineConfig(precision="bf16"),
        **more,
    }
    return Room.model_validate(settings)


def test_the_weights_of_qwen3_4b_by_hand() -> None:
    found = count_weights(QWEN3_4B, answers_with_words=True)
    attention = 2 * 2560 * 4096 + 2 * 2560 * 1024  # queries and output, keys and values
    layer = attention + 3 * 2560 * 9728 + 2 * 2560 + 2 * 128  # and the norms
    assert found.body == 151_936 * 2560 + 36 * layer + 2560 == 4_022_468_096
    assert found.attention == 36 * (2 * (2560 + 4096) + 2 * (2560 + 1024))
    assert found.mlp == 36 * 3 * (2560 + 9728)
    assert found.head == 0
    assert count_weights(QWEN3_4B, answers_with_words=False).head == 2 * 2560 + 2
    # The published LoRA of rank 32 on all seven projections: 66 million.
    assert trained_and_frozen(Lora(rank=32), found) == (32 * (found.attention + found.mlp), found.body)
    assert trained_and_frozen(Lora(rank=32), found)[0] == 66_060_288


def test_full_fine_tuning_of_qwen3_4b_does_not_fit_80_gb_and_lora_does() -> None:
    # In bf16 under AdamW: 2 bytes of weights, 12 of optimizer, 4 of summed gradients: 18 x 4.022e9 = 72.4e9.
    # Of 1,024 tokens each of 36 layers keeps, bytes: norms 2 x (4 + 2 + 2) x 2560 = 40,960; attention
    # 2 x 2 x (4096 + 1024) = 20,480 and its norms (4 + 2) x 5120 = 30,720; MLP 4 x 2 x 9728 = 77,824: in all
    # 169,984 x 1024 x 36 = 6.27e9; outside 1024 x 5 x 2 x 2560 = 0.03e9. Sum 78.7e9; context and fragments:
    # 1.1 x 78.7 + 1.07 = 87.6.
    refusal = room(80).refused(Full(), 32)
    assert refusal == (
        "student.full needs about 87.6 GB on a device for a single example of 1024 tokens, but "
        "trial.memory_gb is 80: set student to lora or probe"
    )
    assert room(87.5).refused(Full(), 32) is not None
    assert room(87.8).refused(Full(), 32) is None
    # LoRA: 2 x 4.022e9 + 18 x 0.066e9 + 36 x 1024 x (169,984 - 2 x 2 x 2560 - 2 x 5120) + ... = 14.8e9.
    assert room(80).refused(Lora(rank=32), 32) is None
    assert room(17).refused(Lora(rank=32), 32) is not None
    assert room(18).refused(Lora(rank=32), 32) is None


def test_what_saves_memory_is_counted() -> None:
    assert (
        room(80, engine=EngineConfig(precision="bf16", zero_stage=2), world_size=4).refused(Full(), 32)
        is None
    )
    assert (
        room(80, engine=EngineConfig(precision="bf16", zero_stage=2, offload=True)).refused(Full(), 32)
        is None
    )
    assert room(10, length=128).refused(Probe(), 32) is None
    assert room(9).refused(Probe(), 32) == (
        "student.probe needs about 9.98 GB on a device for a single example of 1024 tokens, but "
        "trial.memory_gb is 9: name a smaller strong model"
    )


def test_a_method_that_does_not_fit_is_refused() -> None:
    here = Abilities(prior=True, intermediates=0, room=room(80))
    said = Method().refused(here)
    assert said is not None
    assert said.startswith("student.full needs about 87.6 GB")
    assert Method(student=Lora()).refused(here) is None
    assert Method().refused(Abilities(prior=True, intermediates=0)) is None


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


def test_no_room_is_no_room() -> None:
    with pytest.raises(ValidationError, match="gb"):
        room(0)
