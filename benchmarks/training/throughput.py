"""Our training loop against transformers' Trainer: tokens a second on the lengths of sst2.

    python -m benchmarks.training.throughput [--data DIR] [--model toy | PATH] [--repeats 3] [--quick]

Same weights, examples, batch size, learning rates and number of steps, one thread; the two take turns in
this process, after one short unmeasured turn each. Tokens are those of the examples, without padding. A
turn's seconds include setting its trainer up. The final loss is the mean over all training examples, as the
trained model predicts them. --model PATH is a folder with a decoder and its tokenizer (such as stories260K);
toy is the offline task's strong shape, with random weights and one token a word. Prints JSON; cpu_ratio is
the ratio of processor time, for a machine that others use too.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers.trainer_callback import PrinterCallback

from benchmarks.training.models import hashed, sst2_texts
from search.cli.output import stdout_for_json, write_json
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.data.examples import Examples
from trainers.data.tokens import length_batches, padding_share, tokenize
from trainers.gang import ensure_group, leave_group
from trainers.models.pool import Classifier, ModelPool
from trainers.models.settings import HubModel, ToyModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Floats, Recipe, TokenInputs, fit, predict
from trainers.training.settings import EngineConfig

OPTIM = Adamw(lr=1e-3, epochs=1, batch_size=32)
FLOOR = 1e-7  # of a predicted probability


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What both trainers get."""

    fresh: Callable[[], Classifier]
    inputs: TokenInputs
    targets: Floats

    def loss(self, model: Classifier) -> float:
        """Mean cross-entropy over all examples."""
        said = np.clip(predict(model, self.inputs).astype(np.float64), FLOOR, 1 - FLOOR)
        return float(-np.mean(self.targets * np.log(said) + (1 - self.targets) * np.log(1 - said)))


def setting(model: str, data: Path | None, examples: int, cache: Path) -> Setting:
    """The model and its examples."""
    texts, targets = sst2_texts(data, examples)
    if model == "toy":
        pool = ModelPool(ToyModel(size="strong", pretrain_steps=1), cache=cache)
        tokens = hashed([" ".join(text.split()[:60]) for text in texts], len(pool.tokenizer))
    else:
        pool = ModelPool(HubModel(path=model, max_length=128), cache=cache)
        tokens = tokenize(Examples(texts=tuple(texts)), pool.tokenizer, 128)
    inputs = TokenInputs(tokens=tokens, pad_id=pool.pad_id)
    return Setting(fresh=lambda: pool.fresh(0), inputs=inputs, targets=targets)


def ours(given: Setting, seed: int) -> dict[str, float]:
    """One training with `fit`."""
    model, everything = given.fresh(), np.ones(len(given.targets), dtype=np.float32)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=everything, lr_scale=1.0),)),
        loss=Xent(),
        optim=OPTIM,
        engine=EngineConfig(),
        seed=seed,
    )
    ensure_group()
    start, cpu = time.perf_counter(), time.process_time()
    for _ in fit(model, list(model.parameters()), given.inputs, given.targets, recipe, (1.0,)):
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    lengths = given.inputs.lengths
    padding = padding_share(lengths, length_batches(lengths, OPTIM.batch_size, seed=seed))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
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


def theirs(given: Setting, seed: int) -> dict[str, float]:
    """One training with Trainer, as it is set up by default."""
    leave_group()  # with one, or a rank, Trainer would train as a distributed job of one
    os.environ.pop("LOCAL_RANK", None)
    model, filled = given.fresh(), []

    def collate(rows: list[int]) -> dict[str, torch.Tensor]:
        ids, mask = given.inputs.batch(np.array(rows))
        filled.append(1 - mask.float().mean().item())
        labels = torch.from_numpy(given.targets[rows]).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=OPTIM.batch_size,
            num_train_epochs=OPTIM.epochs,
            learning_rate=OPTIM.lr,
            warmup_steps=OPTIM.warmup,
            adam_beta2=OPTIM.beta2,
            max_grad_norm=OPTIM.clip,
            seed=seed,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            log_level="error",
            dataloader_pin_memory=False,  # batches are on the device already
            logging_strategy="no",
        )
        rows: Any = range(len(given.targets))  # a dataset of row numbers, which `collate` turns into batches
        start, cpu = time.perf_counter(), time.process_time()
        trainer = transformers.Trainer(WithLoss(model), settings, data_collator=collate, train_dataset=rows)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "loss": given.loss(model),
        "padding_share": float(np.mean(filled)),
    }


def compare(given: Setting, repeats: int) -> dict[str, Any]:
    """Turns of each, and their medians."""
    turns: dict[str, list[dict[str, float]]] = {"ours": [], "transformers": []}
    for seed in range(repeats):
        turns["ours"].append(ours(given, seed))
        turns["transformers"].append(theirs(given, seed))
    tokens = int(given.inputs.lengths.sum())
    table: dict[str, Any] = {}
    for name, rows in turns.items():
        seconds = [row["seconds"] for row in rows]
        table[name] = {
            "tokens_per_s": tokens / float(np.median(seconds)),
            "padding_share": float(np.mean([row["padding_share"] for row in rows])),
            "seconds": seconds,
            "cpu_seconds": [row["cpu_seconds"] for row in rows],
            "losses": [row["loss"] for row in rows],
        }
    ratio = table["ours"]["tokens_per_s"] / table["transformers"]["tokens_per_s"]
    cpu = [float(np.median(table[name]["cpu_seconds"])) for name in ("transformers", "ours")]
    steps = -(-len(given.targets) // OPTIM.batch_size)
    return {
        "ratio": ratio,
        "cpu_ratio": cpu[0] / cpu[1],
        "examples": len(given.targets),
        "steps": steps,
        **table,
    }


@stdout_for_json()
def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with sst2.train.jsonl.gz")
    parser.add_argument("--model", default="toy")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="960 examples, one turn each")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warm_up(EngineConfig())
    with tempfile.TemporaryDirectory() as cache:
        short = setting(arguments.model, arguments.data, 64, Path(cache))
        ours(short, 0)
        theirs(short, 0)
        examples, repeats = (960, 1) if arguments.quick else (7781, arguments.repeats)
        table = compare(setting(arguments.model, arguments.data, examples, Path(cache)), repeats)
    write_json({"model": arguments.model, "threads": arguments.threads, **table}, indent=1)


if __name__ == "__main__":
    main()
