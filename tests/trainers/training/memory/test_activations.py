import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModel, LlamaConfig, PretrainedConfig, Qwen3Config

from trainers.training.memory.activations import ModelShape, Passes, layer_bytes, passing_bytes

SEQUENCES, LENGTH = 2, 64


def small(model: str, layers: int = 1, *, kv_heads: int = 8, attention: str = "sdpa") -> PretrainedConfig:
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
        attn_implementation=attention,
    )


def saved_bytes_a_token(
    config: PretrainedConfig, dtype: torch.dtype, *, frozen: bool = False, compiled: bool = False
) -> float:
    """What autograd keeps of a forward pass, the weights left out."""
    body = AutoModel.from_config(config).to(dtype).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(not frozen or "proj" in name)
    if compiled:  # without code for a machine, which changes nothing of what is kept
        for layer in body.layers:
            layer.compile(dynamic=False, backend="aot_eager_decomp_partition")
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(0, 60, (SEQUENCES, LENGTH))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        body(input_ids=ids)
    sizes = [tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own]
    return sum(sizes) / ids.numel()


def a_layers(
    model: str, dtype: torch.dtype, *, heads: int = 2, attention: str = "sdpa", **how: bool
) -> float:
    """What a layer keeps: half of what two more keep."""
    shapes = [small(model, n, kv_heads=heads, attention=attention) for n in (1, 3)]
    one, three = (saved_bytes_a_token(shape, dtype, **how) for shape in shapes)
    return (three - one) / 2


WIDTHS = [(torch.float32, 4), (torch.bfloat16, 2)]


@pytest.mark.parametrize("model", ["qwen3", "llama"])
@pytest.mark.parametrize(("dtype", "width"), WIDTHS)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("heads", [8, 2])
def test_a_layers_activations_are_those_that_autograd_keeps(
    model: str, dtype: torch.dtype, width: int, frozen: bool, heads: int
) -> None:
    predicted = layer_bytes(
        ModelShape.of(small(model, kv_heads=heads)), Passes(width=width, adapted=frozen), LENGTH
    )
    assert predicted == pytest.approx(a_layers(model, dtype, heads=heads, frozen=frozen), rel=0.02)


@pytest.mark.parametrize(("dtype", "width"), WIDTHS)
def test_eager_attention_keeps_its_scores(dtype: torch.dtype, width: int) -> None:
    shape = ModelShape.of(small("qwen3", kv_heads=2, attention="eager"))
    predicted = layer_bytes(shape, Passes(width=width, adapted=False), LENGTH)
    assert predicted == pytest.approx(a_layers("qwen3", dtype, attention="eager"), rel=0.02)
    assert passing_bytes(shape, Passes(width=width, adapted=False), LENGTH) == 2 * 4 * 8 * LENGTH


def test_shared_keys_in_float32_keep_scores_on_a_gpu() -> None:
    shape, fused = ModelShape.of(small("qwen3", kv_heads=2)), Passes(width=4, adapted=False)
    on_gpu = Passes(width=4, adapted=False, on_gpu=True)
    with sdpa_kernel(SDPBackend.MATH):  # what torch falls back to on a GPU
        assert layer_bytes(shape, on_gpu, LENGTH) == pytest.approx(a_layers("qwen3", torch.float32), rel=0.02)
    assert layer_bytes(shape, on_gpu, LENGTH) > 1.1 * layer_bytes(shape, fused, LENGTH)
    assert passing_bytes(shape, fused, LENGTH) == 0
    own_keys, half = ModelShape.of(small("qwen3")), Passes(width=2, adapted=False, on_gpu=True)
    assert not on_gpu.keeps_scores(own_keys)
    assert not half.keeps_scores(shape)


@pytest.mark.slow
def test_a_compiled_layer_keeps_what_the_partitioner_leaves() -> None:
    shape = ModelShape.of(small("qwen3", kv_heads=2))
    predicted = layer_bytes(shape, Passes(width=2, adapted=False, compiled=True), LENGTH)
    assert predicted == pytest.approx(a_layers("qwen3", torch.bfloat16, compiled=True), rel=0.02)


def test_shapes_are_read_from_a_configuration() -> None:
    assert ModelShape.of(small("qwen3", 5, kv_heads=2)) == ModelShape(
        layers=5, hidden=192, intermediate=512, attention=256, keys=64, heads=8, gated=True, normed=True
    )
    assert not ModelShape.of(small("llama")).normed
    assert ModelShape.of(small("llama", attention="eager")).eager
