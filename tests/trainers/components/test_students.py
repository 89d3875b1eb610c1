import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from trainers.components.students import (
    STUDENTS,
    Full,
    Lora,
    Probe,
    linear_layers,
    make_student,
)
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.models.pool import Classifier, ModelPool
from trainers.models.prompts import render
from trainers.models.settings import HubModel, ToyModel
from trainers.training.weights import trained_weights

TEXTS = Examples(texts=("the food was good verdict :", "the staff was not kind verdict :"))
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(ToyModel(size="weak"), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return render(ToyModel(size="weak"), TEXTS)


def logits(module: torch.nn.Module, tokens: Tokens) -> torch.Tensor:
    result: torch.Tensor = module(*tokens.pad_batch(range(len(tokens)), 0))  # type: ignore[arg-type]
    return result


def names(module: torch.nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_a_full_student_trains_everything(pool: ModelPool) -> None:
    student = make_student(Full(), pool, seed=0, words=None)
    assert sum(p.numel() for p in student.parameters) == sum(p.numel() for p in student.module.parameters())
    assert all(p.requires_grad for p in student.parameters)
    assert student.layer is None


def test_lora_trains_the_updates_of_the_seven_projections_and_the_head(pool: ModelPool) -> None:
    student = make_student(Lora(rank=4), pool, seed=0, words=None)
    layer = "body.layers.0"
    parents = {name.split(".")[4] for name in names(student.module) if "lora" in name}
    assert parents == set(SEVEN)
    assert {name for name in names(student.module) if "lora" not in name} == {"head.weight", "head.bias"}
    wanted = {id(p) for n, p in student.module.named_parameters() if n in names(student.module)}
    assert {id(p) for p in student.parameters} == wanted
    # By hand: rank times inputs plus outputs, of a 16-wide body with two heads of 8 and 24 inside its MLP.
    by_hand = 4 * (4 * (16 + 16) + 3 * (16 + 24)) + 2 * 16 + 2
    assert sum(p.numel() for p in student.parameters) == by_hand
    assert any(name.startswith(layer) for name in names(student.module))


@torch.no_grad()
def test_lora_starts_as_the_model_it_adapts(pool: ModelPool, tokens: Tokens) -> None:
    adapted = make_student(Lora(), pool, seed=3, words=None).module.eval()
    torch.testing.assert_close(logits(adapted, tokens), logits(pool.fresh(3), tokens))


@torch.no_grad()
@pytest.mark.parametrize(("rslora", "scale"), [(True, 6 / math.sqrt(4)), (False, 6 / 4)])
def test_loras_update_by_hand(pool: ModelPool, rslora: bool, scale: float) -> None:
    module = make_student(Lora(rank=4, alpha=6, rslora=rslora), pool, seed=0, words=None).module
    layer: Any = module.get_submodule("body.layers.0.mlp.up_proj")
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    b.copy_(torch.randn(b.shape, generator=torch.Generator().manual_seed(1)))
    x = torch.randn((3, 16), generator=torch.Generator().manual_seed(2))
    expected = x @ layer.base_layer.weight.T + scale * x @ a.T @ b.T
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_lora_follows_its_seed_and_nothing_else(pool: ModelPool) -> None:
    before = torch.get_rng_state()
    one, same, other = (
        trained_weights(make_student(Lora(rank=2), pool, seed=seed, words=None)) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    drawn = [name for name in one if "lora_A" in name]
    assert drawn
    assert not any(torch.equal(one[name], other[name]) for name in drawn)


@pytest.mark.parametrize(
    ("kind", "attention", "mlp"),
    [
        ("llama", SEVEN[:4], SEVEN[4:]),
        (
            "bert",
            ["query", "key", "value", "attention.output.dense"],
            ["intermediate.dense", "0.output.dense"],
        ),
        ("gpt2", ["attn.c_attn", "attn.c_proj"], ["mlp.c_fc", "mlp.c_proj"]),
    ],
)
def test_targets_in_other_bodies(kind: str, attention: list[str], mlp: list[str]) -> None:
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes = {"n_embd": 8, "n_layer": 1, "n_head": 2} if kind == "gpt2" else sizes
    body = AutoModel.from_config(AutoConfig.for_model(kind, vocab_size=16, **sizes))
    body.register_module("pooler", None)
    for target, wanted in (("attention", attention), ("mlp", mlp), ("all", attention + mlp)):
        found = linear_layers(body, target)  # type: ignore[arg-type]
        assert len(found) == len(wanted)
        assert all(sum(name.endswith(end) for name in found) == 1 for end in wanted)


def test_a_language_models_vocabulary_is_not_adapted(tmp_path: Path) -> None:
    config = ToyModel(size="weak", readout="label_tokens")
    words = render(config, TEXTS).words
    student = make_student(Lora(), ModelPool(config, cache=tmp_path), seed=0, words=words)
    assert all("lora" in name for name in names(student.module))


def test_updates_of_a_half_precision_body_are_in_full_precision(shared: Path, tmp_path: Path) -> None:
    path = str(shared / "models/stories260K")
    pool = ModelPool(HubModel(path=path, max_length=64, dtype="bfloat16"), cache=tmp_path)
    student = make_student(Lora(rank=2), pool, seed=0, words=None)
    assert {p.dtype for p in student.parameters} == {torch.float32}
    assert {p.dtype for p in student.module.parameters()} == {torch.float32, torch.bfloat16}
    logits(student.module, render(pool.config, TEXTS)).sum().backward()
    assert all(p.grad is not None for p in student.parameters)


@torch.no_grad()
def test_a_probe_is_a_head_on_the_features_of_its_layer(pool: ModelPool, tokens: Tokens) -> None:
    student = make_student(Probe(layer=0.5), pool, seed=3, words=None)
    classifier: Classifier = pool.fresh(3)
    assert student.layer == 1
    assert student.parameters == list(student.module.parameters())
    features = classifier.features(*tokens.pad_batch(range(2), 0), student.layer)  # type: ignore[arg-type]
    torch.testing.assert_close(student.module(features), logits(classifier, tokens))


@pytest.mark.parametrize("depth", [0.09, 1.01, float("nan")])
def test_a_probe_outside_the_body_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match="layer"):
        Probe(layer=depth)


def test_the_registry_has_every_student() -> None:
    assert {student.model_fields["kind"].default for student in STUDENTS} == {"full", "lora", "probe"}
