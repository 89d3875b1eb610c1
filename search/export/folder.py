"""The exported folder: weights in the form that transformers and peft load, and a reader for them."""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from search.config.schema import RunConfig
from search.export.bundle import bundle
from search.export.parts.reading import ABOUT
from trainers.components.staging.members import Ensemble, left_out
from trainers.components.students import Student, make_student
from trainers.data.examples import Examples
from trainers.data.tokens import Template
from trainers.gang import name_accelerator
from trainers.method import Method
from trainers.models.pool import Classifier, ModelPool
from trainers.models.prompts import render, templates
from trainers.models.settings import HubModel, ToyModel
from trainers.models.toy_model import build_toy_model
from trainers.training.weights import TrainedWeights

READER = "predict.py"
BASE = "base"  # the folder of a pretrained model that nothing else holds
HEADER = '''"""Reads this folder: python predict.py FILE.jsonl, or `from predict import load`.

Needs torch, transformers, numpy, safetensors, and peft for adapters. Written by `python -m search export`.
"""

from __future__ import annotations
'''


def write_models(
    folder: Path,
    config: RunConfig,
    method: Method,
    members: Sequence[TrainedWeights],
    example: Examples,
    seed: int,
) -> dict[str, Any]:
    """Write every member, the tokenizer, export.json and predict.py; returns the content of export.json.

    members: trained weights, in order. example: inputs of the task, which decide the text around an example.
    """
    name_accelerator()
    pool = ModelPool(config.strong.model, cache=config.cache_dir)
    names = ["."] if len(members) == 1 else [f"member-{member}" for member in range(len(members))]
    student = make_student(method.student, pool, seed=seed, words=_words(pool, example))
    for name, weights in zip(names, members, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        _load(student, weights)
        _write_member(folder / name, config, method, student)
    pool.tokenizer.save_pretrained(folder)
    about = _about(config, method, student, pool, names, example)
    if about["base"] and isinstance(config.strong.model, ToyModel):
        whole = build_toy_model(config.strong.model, cache=config.cache_dir)
        whole.save_pretrained(folder / BASE)
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    (folder / READER).write_text(reader())
    return about


def reader() -> str:
    """The text of predict.py."""
    imports, texts = bundle([("search.export.parts.reading", name) for name in ("load", "main")])
    main = 'if __name__ == "__main__":\n    main()\n'
    return "\n".join([HEADER, *imports, "", "\n\n\n".join([*texts, main])])


def _words(pool: ModelPool, example: Examples) -> tuple[int, int] | None:
    return render(pool.config, example).words


def _load(student: Student, weights: TrainedWeights) -> None:
    """Give a student these weights, in their own data type: a training may have changed it."""
    own = dict(student.module.named_parameters())
    for name, value in weights.items():
        own[name].data = value


def _write_member(folder: Path, config: RunConfig, method: Method, student: Student) -> None:
    module = student.module
    if isinstance(module, Classifier):
        if method.student.kind == "full":
            module.body.save_pretrained(folder)
        elif method.student.kind == "lora":
            _write_adapter(folder, config, module)
        save_file(_head(module.head, module.words), folder / "head.safetensors")
    else:
        assert isinstance(module, nn.Linear)
        save_file(_head(module, None), folder / "head.safetensors")


def _head(head: nn.Linear, words: tuple[int, int] | None) -> dict[str, Tensor]:
    """The two rows that answer: of a vocabulary those of its two words."""
    rows = slice(None) if words is None else list(words)
    tensors = {"weight": head.weight.detach()[rows].float().contiguous()}
    if head.bias is not None:
        tensors["bias"] = head.bias.detach()[rows].float().contiguous()
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _write_adapter(folder: Path, config: RunConfig, module: Classifier) -> None:
    base, revision = base_of(config.strong.model)
    settings: Any = copy.copy(module.body.peft_config["default"])
    settings.base_model_name_or_path, settings.revision = base or BASE, revision
    settings.inference_mode = True
    settings.save_pretrained(str(folder))
    adapter = {
        f"base_model.model.{name.replace('.default.', '.')}": value.detach().cpu().contiguous().clone()
        for name, value in module.body.state_dict().items()
        if ".lora_A." in name or ".lora_B." in name
    }
    save_file(adapter, folder / "adapter_model.safetensors")


def base_of(model: HubModel | ToyModel) -> tuple[str | None, str | None]:
    """The hub id or folder of a model, and its revision; None for one that was made here."""
    if not isinstance(model, HubModel):
        return None, None
    path = Path(model.path).expanduser()
    return (str(path.resolve()), None) if path.is_dir() else (model.path, model.revision)


def _about(
    config: RunConfig,
    method: Method,
    student: Student,
    pool: ModelPool,
    names: Sequence[str],
    example: Examples,
) -> dict[str, Any]:
    model, members = config.strong.model, method.members
    path, revision = base_of(config.strong.model)
    asks = model.readout == "label_tokens"
    trimmed = isinstance(members, Ensemble) and members.aggregate == "trimmed"
    half = config.engine.precision == "bf16" and student.layer is None
    dtype = model.dtype if isinstance(model, HubModel) else "float32"
    return {
        "schema": 1,
        "student": method.student.kind,
        "members": list(names),
        "aggregate": members.aggregate if isinstance(members, Ensemble) else "mean",
        "left_out": left_out(len(names), members.trim) if trimmed and isinstance(members, Ensemble) else 0,
        "answered": method.inputs.answered,
        "layer": student.layer,
        "depth": pool.layer_at(1.0),
        "pool": "last" if asks else pool.read_from,
        "max_length": int(pool.tokenizer.model_max_length),
        "template": _template(templates(model, example)[0]) if asks else None,
        "pairs": example.pairs is not None,
        "dtype": "bfloat16" if half else "float32" if method.student.kind == "full" else dtype,
        "base": None
        if method.student.kind == "full"
        else {"path": path, "revision": revision, "folder": BASE if path is None else None, "dtype": dtype},
    }


def _template(template: Template) -> dict[str, Any]:
    return asdict(template) | {"words": list(template.words)}
