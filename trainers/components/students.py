"""Student components: which part of the strong model a trial trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trainers.component import Component
from trainers.lazy import nn, peft, pytorch_utils, torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trainers.models.head import Words
    from trainers.models.pool import ModelPool


class Full(Component):
    """Trains every weight of the model and its head."""

    kind: Literal["full"] = "full"


class Lora(Component):
    """Trains low-rank updates of the model's linear layers, and its head."""

    kind: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1, le=256, description="rank of each update")] = 32
    alpha: Annotated[int, Field(ge=1, le=512, description="scale: alpha / rank, or / its root")] = 32
    rslora: Annotated[bool, Field(description="divide alpha by the root of the rank, not the rank")] = True
    dropout: Annotated[float, Field(ge=0, le=0.5, description="dropout on what the updates read")] = 0.0
    target: Annotated[
        Literal["all", "attention", "mlp"], Field(description="which linear layers of each block")
    ] = "all"


class Probe(Component):
    """Trains only a linear head on the frozen hidden states of one layer of the model."""

    kind: Literal["probe"] = "probe"
    layer: Annotated[
        float,
        Field(ge=0.1, le=1.0, description="which layer is read, as a share of the depth; 1 is the last"),
    ] = 1.0


class BagOfWords(Component):
    """Trains only a linear head on which tokens a text has (TF-IDF); of the model it uses the tokenizer."""

    kind: Literal["bag_of_words"] = "bag_of_words"


StudentConfig = Full | Lora | Probe
SupervisorStudent = StudentConfig | BagOfWords


@dataclass(frozen=True, kw_only=True)
class Student:
    """The model of a training.

    module: from inputs to logits [b, 2]. parameters: its trained parameters. layer: the layer of the
    pretrained model whose features are its inputs; None if it takes tokens.
    """

    module: nn.Module
    parameters: list[nn.Parameter]
    layer: int | None = None


def full(config: Full, pool: ModelPool, seed: int, words: Words | None) -> Student:
    """Every weight; the naive baseline's student (Burns et al. 2023)."""
    classifier = pool.fresh(seed, words=words)
    return Student(module=classifier, parameters=list(classifier.parameters()))


def lora(config: Lora, pool: ModelPool, seed: int, words: Words | None) -> Student:
    """W + scale·B·A for each targeted W, B = 0 at first; scale = alpha / rank, or alpha / √rank (rsLoRA).

    Hu et al. 2022, "LoRA"; Kalajdzievski 2023, "A Rank Stabilization Scaling Factor". `all` targets the seven
    projections of a Llama or Qwen block, and all linear layers of other blocks; a language model's vocabulary
    is not adapted. Updates are float32 even if the body is in half precision.
    """
    classifier = pool.fresh(seed, words=words).requires_grad_(False)
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        use_rslora=config.rslora,
        lora_dropout=config.dropout,
        target_modules=linear_layers(classifier.body, config.target),
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        peft.inject_adapter_in_model(settings, classifier.body)
    if words is None:
        classifier.head.requires_grad_(True)
    parameters = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    return Student(module=classifier, parameters=parameters)


def probe(config: Probe, pool: ModelPool, seed: int, words: Words | None) -> Student:
    """A new linear head on precomputed features, whatever the model's read-out.

    Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes".
    """
    head = pool.new_head(seed)
    return Student(module=head, parameters=list(head.parameters()), layer=pool.layer_at(config.layer))


def linear_layers(body: PreTrainedModel, target: Literal["all", "attention", "mlp"]) -> list[str]:
    """The names of a body's linear layers; `attention`: within an attention block, `mlp`: the others.

    Raises ValueError if there are none.
    """
    names = [
        name for name, module in body.named_modules() if isinstance(module, nn.Linear | pytorch_utils.Conv1D)
    ]
    chosen = [name for name in names if target == "all" or _attends(name) == (target == "attention")]
    if not chosen:
        raise ValueError(
            f"lora.target {target} matches no layer of a {body.config.model_type}: use target all"
        )
    return chosen


def _attends(name: str) -> bool:
    return any("att" in part for part in name.split("."))


STUDENTS: dict[type[Component], Callable[[Any, ModelPool, int, Words | None], Student]] = {
    Full: full,
    Lora: lora,
    Probe: probe,
}


def make_student(config: Component, pool: ModelPool, *, seed: int, words: Words | None) -> Student:
    """A fresh student on the CPU, determined by the seed; leaves the global random state untouched.

    words: the tokens that answer the examples it learns from.
    """
    return STUDENTS[type(config)](config, pool, seed, words)
