"""Our training loop against transformers' Trainer, with its default sampling and with group_by_length.

    python -m benchmarks.training.throughput [--model toy|PATH|Qwen3-0.6B|Qwen3-4B] [--texts short|long]
    python -m benchmarks.training.throughput --all          every row that this machine can take

Same weights, examples, batch size, learning rates and number of steps, one thread; all take turns in this
process, after a short unmeasured turn each. Tokens are those of the examples, without padding. A turn's
seconds include setting its trainer up. The final loss is the mean over all training examples, as the trained
model predicts them.

toy is the offline task's strong shape, with random weights and one token a word, PATH a folder with a decoder
and its tokenizer (such as stories260K): fully trained in float32 on the lengths of sst2, long on 60 tokens.
Qwen3 shapes have random weights and need a GPU, tiny is a dry run of them: LoRA of rank 32 in bf16 on lengths
as those of chat preferences, long on 1,024 tokens. Prints JSON, a row a model and kind of texts; cpu_ratio is
the ratio of processor time, for a machine that others use too.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers.trainer_callback import PrinterCallback

from benchmarks.training.models import QWEN3
from benchmarks.training.settings import Setting, setting
from search.cli.output import stdout_for_json, write_json
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.data.tokens import Tokens, length_batches, padding_share
from trainers.gang import ensure_group, leave_group
from trainers.models.pool import Classifier
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Floats, Recipe, fit
from trainers.training.settings import EngineConfig

OPTIM = Adamw(lr=1e-3, epochs=1, batch_size=32)
TEXTS = ("short", "long")
SAMPLING = {"transformers": "random", "transformers, grouped": "group_by_length"}

Turn = dict[str, float]


def ours(given: Setting, seed: int) -> Turn:
    """One training with `fit`."""
    (model, parameters), everything = given.fresh(), np.ones(len(given.targets), dtype=np.float32)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=everything, lr_scale=1.0),)),
        loss=Xent(),
        optim=OPTIM,
        engine=given.engine,
        seed=seed,
    )
    ensure_group()
    start, cpu = _clocks()
    for _ in fit(model, parameters, given.inputs, given.targets, recipe, (1.0,)):
        end, cpu_end = _clocks()
    lengths = given.inputs.lengths
    padding = padding_share(lengths, length_batches(lengths, OPTIM.batch_size, seed=seed))
    return {
        "seconds": end - start,
        "cpu_seconds": cpu_end - cpu,
        "loss": given.loss(model),
        "padding_share": padding,
    }


class WithLoss(torch.nn.Module):
    """The classifier as Trainer wants it."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch, and its logits."""
        logits = self.classifier(input_ids, attention_mask)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The examples as Trainer reads them: each its tokens, by which it groups them, and its label."""

    tokens: Tokens
    targets: Floats

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> dict[str, Any]:
        ids = self.tokens.ids[self.tokens.offsets[row] : self.tokens.offsets[row + 1]]
        return {"input_ids": ids, "labels": int(self.targets[row])}


def theirs(given: Setting, seed: int, sampling: str) -> Turn:
    """One training with Trainer, but for its sampling as it is set up by default."""
    leave_group()  # with one, or a rank, Trainer would train as a distributed job of one
    os.environ.pop("LOCAL_RANK", None)
    (model, _), filled = given.fresh(), list[float]()

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(row["input_ids"].astype(np.int64)) for row in rows],
            batch_first=True,
            padding_value=given.inputs.pad_id,
        )
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        mask = (torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long()
        filled.append(1 - mask.float().mean().item())
        labels = torch.tensor([row["labels"] for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    micro_batch = given.engine.micro_batch or OPTIM.batch_size
    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=OPTIM.batch_size // micro_batch,
            num_train_epochs=OPTIM.epochs,
            learning_rate=OPTIM.lr,
            warmup_steps=OPTIM.warmup,
            adam_beta2=OPTIM.beta2,
            max_grad_norm=OPTIM.clip,
            train_sampling_strategy=sampling,
            seed=seed,
            bf16=given.engine.precision == "bf16",
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            log_level="error",
            logging_strategy="no",
        )
        rows: Any = Rows(tokens=given.inputs.tokens, targets=given.targets)
        start, cpu = _clocks()
        trainer = transformers.Trainer(WithLoss(model), settings, data_collator=collate, train_dataset=rows)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        end, cpu_end = _clocks()
    return {
        "seconds": end - start,
        "cpu_seconds": cpu_end - cpu,
        "loss": given.loss(model),
        "padding_share": float(np.mean(filled)),
    }


def _clocks() -> tuple[float, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


CONTENDERS: dict[str, Callable[[Setting, int], Turn]] = {
    "ours": ours,
    **{name: partial(theirs, sampling=sampling) for name, sampling in SAMPLING.items()},
}


def compare(given: Setting, repeats: int) -> dict[str, Any]:
    """Turns of each, their medians, and how many times as fast ours is as each other."""
    turns: dict[str, list[Turn]] = {name: [] for name in CONTENDERS}
    for seed in range(repeats):
        for name, contender in CONTENDERS.items():
            turns[name].append(contender(given, seed))
    medians = {
        name: {kind: float(np.median([row[kind] for row in rows])) for kind in ("seconds", "cpu_seconds")}
        for name, rows in turns.items()
    }
    tokens = int(given.inputs.lengths.sum())
    return {
        "examples": len(given.targets),
        "mean_length": float(given.inputs.lengths.mean()),
        "steps": -(-len(given.targets) // OPTIM.batch_size),
        **{
            name: {
                "tokens_per_s": tokens / medians[name]["seconds"],
                "ratio": medians[name]["seconds"] / medians["ours"]["seconds"],
                "cpu_ratio": medians[name]["cpu_seconds"] / medians["ours"]["cpu_seconds"],
                "padding_share": float(np.mean([row["padding_share"] for row in rows])),
                "seconds": [row["seconds"] for row in rows],
                "cpu_seconds": [row["cpu_seconds"] for row in rows],
                "losses": [row["loss"] for row in rows],
            }
            for name, rows in turns.items()
        },
    }


def wanted(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Model and texts of every row."""
    models = arguments.model or ["toy"]
    if arguments.all:
        models = ["toy", *QWEN3] if torch.cuda.is_available() else ["toy"]
    for model in models:
        for texts in TEXTS if arguments.all else arguments.texts or ["short"]:
            yield model, texts


@stdout_for_json()
def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with sst2.train.jsonl.gz")
    parser.add_argument("--model", action="append", help="default: toy")
    parser.add_argument("--texts", action="append", choices=TEXTS, help="default: short")
    parser.add_argument("--all", action="store_true", help="short and long, and on a GPU the Qwen3 shapes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="an eighth of the examples, one turn each")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warm_up(EngineConfig())
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for model, texts in wanted(arguments):
            if model in QWEN3 and not torch.cuda.is_available():
                parser.error(f"--model {model} needs a GPU: use --model tiny for a dry run")
            whole = (512 if texts == "short" else 128) if model in (*QWEN3, "tiny") else 7781
            examples, repeats = (-(-whole // 8), 1) if arguments.quick else (whole, arguments.repeats)
            given = setting(model, texts, arguments.data, examples, Path(cache))
            for contender in CONTENDERS.values():
                contender(given.first(min(examples, 64)), 0)
            rows.append({"model": model, "texts": texts, **compare(given, repeats)})
            print(f"{model}, {texts}: done", file=sys.stderr)
    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    write_json({"device": where, "threads": arguments.threads, "rows": rows}, indent=1)


if __name__ == "__main__":
    main()
