import pytest
import torch
from torch import Tensor
from transformers import AutoModel, LlamaConfig, PretrainedConfig, Qwen3Config

from trainers.training.memory import (
    Memory,
    ModelShape,
    _layer,
    largest_micro_batch,
    on_device,
    predict_memory,
    training_room,
)
from trainers.training.settings import EngineConfig

# As in figure 1 of the ZeRO paper; no activations, so that the rest stands alone.
NOTHING = ModelShape(layers=0, hidden=0, intermediate=0, attention=0, keys=0, gated=True, normed=False)
PSI = 7_500_000_000


def zero(stage: int, world: int, *, offload: bool = False) -> Memory:
    engine = EngineConfig(zero_stage=stage, precision="bf16", offload=offload)
    return predict_memory(NOTHING, engine, trainable=PSI, frozen=0, batch_size=64, length=1, world_size=world)


def test_the_published_example_of_zero() -> None:
    # 16.6 GB with stage 2 on 64 devices, 1.9 GB with 3, for gradients in bfloat16. Ours add up in float32 (2
    # more bytes), come through a bucket, in its place and waiting, and stage 3 has parameters that are whole.
    bucket, more = 2 * 2 * 2**25, 2 * PSI / 64
    assert zero(1, 64).optimizer == 12 * PSI / 64
    assert zero(1, 64) == zero(2, 64)
    assert zero(2, 64).device == pytest.approx(16.6e9 + bucket + more, rel=0.01)
    assert zero(3, 64).device == pytest.approx(1.9e9 + bucket + more + 2 * 2**28, rel=0.02)
    # Alone: 2 bytes of weights, 4 of gradients and 12 of the optimizer a parameter.
    assert zero(0, 1).device == zero(1, 1).device == 18 * PSI + bucket


def test_offload_moves_the_optimizer_and_under_stage_3_the_weights_to_the_host() -> None:
    assert zero(2, 8, offload=True).host == 12 * PSI // 8
    assert zero(2, 8, offload=True).optimizer == 0
    assert zero(3, 8, offload=True).host == 12 * PSI // 8 + 2 * PSI // 8
    assert zero(3, 8, offload=True).weights == 2 * 2**28
    assert zero(2, 8).host == 0


def small(model: str, layers: int = 1, *, kv_heads: int = 8) -> PretrainedConfig:
    kind = {"qwen3": Qwen3Config, "llama": LlamaConfig}[model]
    return kind(
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=kv_heads,
        head_dim=32,
        vocab_size=64,
        use_cache=False,
    )


def saved_bytes_a_token(config: PretrainedConfig, dtype: torch.dtype, *, frozen: bool) -> float:
    """What autograd keeps of a forward pass, the weights left out."""
    body = AutoModel.from_config(config).to(dtype).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(not frozen or "proj" in name)
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(0, 60, (2, 64))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        body(input_ids=ids)
    sizes = [tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own]
    return sum(sizes) / ids.numel()


@pytest.mark.parametrize("model", ["qwen3", "llama"])
@pytest.mark.parametrize(("dtype", "width"), [(torch.float32, 4), (torch.bfloat16, 2)])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("heads", [8, 2])
def test_a_layers_activations_are_those_that_autograd_keeps(
    model: str, dtype: torch.dtype, width: int, frozen: bool, heads: int
) -> None:
    shapes = [small(model, n, kv_heads=heads) for n in (1, 3)]
    one, three = (saved_bytes_a_token(shape, dtype, frozen=frozen) for shape in shapes)
    predicted = _layer(ModelShape.of(shapes[0]), width, frozen)
    assert predicted == pytest.approx((three - one) / 2, rel=0.02)


def test_a_device_needs_more_than_the_training() -> None:
    assert on_device(100 * 2**30) == 111 * 2**30
    assert training_room(111 * 2**30) == 100 * 2**30
    assert training_room(2**20) == 0


def test_shapes_are_read_from_a_configuration() -> None:
    assert ModelShape.of(small("qwen3", 5, kv_heads=2)) == ModelShape(
        layers=5, hidden=192, intermediate=512, attention=256, keys=64, gated=True, normed=True
    )
    assert not ModelShape.of(small("llama")).normed


def wide(**engine: object) -> Memory:
    return predict_memory(
        ModelShape.of(small("llama", 8)),
        EngineConfig.model_validate(engine),
        trainable=1_000_000,
        frozen=0,
        batch_size=32,
        length=1024,
    )


def test_what_is_meant_to_save_memory_does() -> None:
    assert wide(gradient_checkpointing=True).device < 0.3 * wide().device
    assert wide(micro_batch=4).device < 0.2 * wide().device
    assert 0.5 * wide().working < wide(precision="bf16").working < 0.6 * wide().working


def test_the_largest_micro_batch_is_the_last_halving_that_fits() -> None:
    shape, engine, sizes = (
        ModelShape.of(small("llama", 8)),
        EngineConfig(),
        {"trainable": 10**6, "frozen": 0, "length": 1024},
    )

    def need(micro: int) -> int:
        tried = engine.model_copy(update={"micro_batch": micro})
        return predict_memory(shape, tried, batch_size=32, **sizes).device

    assert largest_micro_batch(shape, engine, need(32), batch_size=32, **sizes) == 32
    assert largest_micro_batch(shape, engine, need(8), batch_size=32, **sizes) == 8
    assert largest_micro_batch(shape, engine, need(8) - 1, batch_size=32, **sizes) == 4
    assert largest_micro_batch(shape, engine, need(1) - 1, batch_size=32, **sizes) is None
