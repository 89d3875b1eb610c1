"""Reads an exported folder: P(class 1) of texts or pairs, by one model or by several that answer together."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from search.export.parts.base import Base, Reading, as_examples, as_probs, classifier_of, combined
from trainers.data.examples import Examples
from trainers.data.tokens import Template
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import TokenInputs
from trainers.training.orders import logits

ABOUT = "export.json"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The models of a folder, and how their answers become one; see `load`."""

    base: Base
    models: tuple[nn.Module, ...]
    answered: int
    aggregate: str
    left_out: int

    def probabilities(self, examples: Examples) -> np.ndarray:
        """P(class 1) of every example, float32 [n]; of pairs, that the second response is better."""
        forms = [examples, examples.exchanged()] if self.answered == 2 else [examples]
        inputs = [TokenInputs(tokens=self.base.tokens(form), pad_id=self.base.pad_id) for form in forms]
        answers = []
        for model in self.models:
            shown, *swapped = (logits(model, form) for form in inputs)
            answers.append((shown - swapped[0]) / 2 if swapped else shown)
        return as_probs(combined(np.stack(answers).astype(np.float64), self.aggregate, self.left_out))


def load(folder: str | Path) -> Exported:
    """Load what `w2s export` wrote."""
    folder = Path(folder)
    about = json.loads((folder / ABOUT).read_text())
    template = about["template"] and Template(
        **about["template"] | {"words": tuple(about["template"]["words"])}
    )

    def base(member: str) -> Base:
        own = about["base"] or {"path": None, "folder": member, "revision": None, "dtype": about["dtype"]}
        reading = Reading(
            path=own["path"] or str(folder / own["folder"]),
            revision=own["revision"],
            pool=about["pool"],
            max_length=about["max_length"],
            dtype=own["dtype"],
            template=template,
            vocabulary=False,
        )
        return Base(reading, tokenizer=str(folder))

    bases = [base(member) for member in (about["members"] if about["base"] is None else about["members"][:1])]
    models = tuple(
        _model(bases[place % len(bases)], folder / member, about)
        for place, member in enumerate(about["members"])
    )
    return Exported(
        base=bases[0],
        models=models,
        answered=about["answered"],
        aggregate=about["aggregate"],
        left_out=about["left_out"],
    )


def _model(base: Base, folder: Path, about: dict[str, Any]) -> nn.Module:
    head = load_file(folder / "head.safetensors")
    classifier = classifier_of(
        _body(base, folder, about), base.reading.pool, head["weight"], head.get("bias")
    )
    if about["layer"] is not None:
        return AtLayer(classifier, about["layer"]).eval()
    return classifier


def _body(base: Base, folder: Path, about: dict[str, Any]) -> nn.Module:
    body: nn.Module = base.body
    if about["student"] == "lora":
        from peft import PeftModel

        adapted: Any = PeftModel.from_pretrained(base.fresh(0).body, str(folder))
        body = adapted.base_model.model
        if about["dtype"] != base.reading.dtype:  # it was trained in half precision
            body = body.to(getattr(torch, about["dtype"]))
    return body.to(device()).eval()


class AtLayer(nn.Module):
    """A classifier that reads a layer of its body, counted from 1."""

    def __init__(self, classifier: Any, layer: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.layer = layer

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, 2]."""
        features = self.classifier.features(input_ids, attention_mask, self.layer)
        found: torch.Tensor = self.classifier.head(features)
        return found


def read_records(file: Path) -> list[dict[str, Any]]:
    """The examples in a JSONL file. Raises ValueError, one line that names the line at fault."""
    records: list[dict[str, Any]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: is no JSON ({error})") from None
        names = ("text",) if isinstance(record, dict) and "text" in record else ("prompt", "first", "second")
        for name in names:
            text = record.get(name) if isinstance(record, dict) else None
            if not isinstance(text, str) or (name == "text" and not text.strip()):
                raise ValueError(f"{file}, line {number}: {name!r} is no text, or an empty one")
        if records and records[0].keys() & {"text"} != record.keys() & {"text"}:
            raise ValueError(f"{file}, line {number}: single texts and pairs cannot be mixed")
        records.append(record)
    if not records:
        raise ValueError(f"{file}: holds no example")
    return records


def main() -> None:
    """Print P(class 1) of every line of a JSONL file, a line each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", help='lines of {"text": …} or {"prompt": …, "first": …, "second": …}')
    parser.add_argument("--folder", default=str(Path(__file__).parent), help="what was exported")
    given = parser.parse_args()
    try:
        examples = as_examples(read_records(Path(given.file)))
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")
    for probability in load(given.folder).probabilities(examples):
        sys.stdout.write(f"{probability:.6f}\n")
