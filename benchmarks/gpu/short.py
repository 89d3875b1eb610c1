"""Short texts on 0.6B: our loop on either engine, compiled and not, transformers' Trainer, and a plain loop.

LoRA of rank 32 in bf16, batches of 32, lengths as those of chat preferences (hh_harmless: about log-normal,
median 105, mean 123 tokens). Each trains for two epochs, of which the second is measured: kernels are chosen
and layers compiled by then. Trainer stands as a user of peft has it by default: batches drawn at random.
Tokens are those of the examples, without padding.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from benchmarks.gpu.work import RANK, Record, compiled_graphs, everything, peak_memory, start_measuring
from benchmarks.training.models import (
    QWEN3,
    TINY,
    chat_lengths,
    qwen3,
    random_classifier,
    random_tokens,
    with_lora,
)
from benchmarks.training.throughput import WithLoss
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.data.tokens import length_batches
from trainers.models.pool import Classifier
from trainers.training.compilation import CompiledLayers, repeated_layers
from trainers.training.deepspeed_engine import device, warm_up
from trainers.training.loop import Floats, Recipe, TokenInputs, fit
from trainers.training.settings import EngineConfig

OPTIM = Adamw(lr=1e-4, epochs=2, batch_size=32)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every contender gets."""

    tiny: bool
    inputs: TokenInputs
    targets: Floats

    def fresh(self) -> tuple[Classifier, list[torch.nn.Parameter]]:
        """A model with random weights and its adapters."""
        config = qwen3(**TINY, vocab_size=512) if self.tiny else qwen3(**QWEN3["Qwen3-0.6B"])
        model = random_classifier(config, dtype=torch.bfloat16, device=device())
        return model, with_lora(model, RANK)


def setting(tiny: bool) -> Setting:
    """The model and its examples."""
    lengths = np.minimum(chat_lengths(64), 40) if tiny else chat_lengths(512)
    inputs = TokenInputs(tokens=random_tokens(lengths, 512), pad_id=0)
    return Setting(
        tiny=tiny, inputs=inputs, targets=np.tile([0.0, 1.0], len(lengths) // 2).astype(np.float32)
    )


def ours(given: Setting, compiled: str, backend: str = "torch") -> Iterator[float]:
    """Times at the start and after each epoch."""
    engine = EngineConfig.model_validate({"precision": "bf16", "compile": compiled, "backend": backend})
    warm_up(engine)
    model, parameters = given.fresh()
    recipe = Recipe(
        plan=everything(len(given.targets)),
        loss=Xent(),
        optim=OPTIM,
        engine=engine,
        seed=0,
    )
    yield time.perf_counter()
    for _ in fit(model, parameters, given.inputs, given.targets, recipe, (0.5, 1.0)):
        yield time.perf_counter()


def plain(given: Setting) -> Iterator[float]:
    """The same for a loop of a few lines, with compiled layers and batches of similar, bucketed lengths."""
    model, parameters = given.fresh()
    model.train()
    for parameter in parameters:
        parameter.data = parameter.data.bfloat16()
    CompiledLayers(repeated_layers(model))  # the code that our loop has compiled before
    optimizer = torch.optim.AdamW(parameters, lr=OPTIM.lr, fused=True)
    targets = torch.from_numpy(given.targets).long().to(device())
    yield time.perf_counter()
    for epoch in range(2):
        for rows in length_batches(given.inputs.lengths, OPTIM.batch_size, seed=epoch):
            logits = model(*given.inputs.batch(rows, fill=OPTIM.batch_size))
            torch.nn.functional.cross_entropy(logits, targets[torch.from_numpy(rows)]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad()
        _wait()
        yield time.perf_counter()


class _Times(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        _wait()
        self.times.append(time.perf_counter())


def theirs(given: Setting) -> Iterator[float]:
    """The same for transformers' Trainer."""
    os.environ.pop("LOCAL_RANK", None)  # with a rank, Trainer would train as a distributed job of one
    model, _ = given.fresh()
    clock = _Times()

    def collate(rows: list[int]) -> dict[str, torch.Tensor]:
        ids, mask = given.inputs.tokens.pad_batch(np.array(rows), given.inputs.pad_id)
        labels = torch.from_numpy(given.targets[rows]).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=OPTIM.batch_size,
            num_train_epochs=OPTIM.epochs,
            learning_rate=OPTIM.lr,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            log_level="error",
            logging_strategy="no",
        )
        rows: Any = range(len(given.targets))
        trainer = transformers.Trainer(
            WithLoss(model), settings, data_collator=collate, train_dataset=rows, callbacks=[clock]
        )
        trainer.remove_callback(PrinterCallback)
        yield time.perf_counter()
        trainer.train()
    yield from clock.times


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# Trainer comes first: once there is a process group it would train as a distributed job. All that is compiled
# runs the code that the first of these compiled.
CONTENDERS: dict[str, Callable[[Setting], Iterator[float]]] = {
    "transformers' Trainer with peft": theirs,
    "ours": lambda given: ours(given, "off"),
    "ours, compiled": lambda given: ours(given, "on"),
    "a plain loop, compiled": plain,
    "ours on DeepSpeed, compiled": lambda given: ours(given, "on", "deepspeed"),
    "ours on DeepSpeed": lambda given: ours(given, "off", "deepspeed"),
}


def run(tiny: bool, record: Record) -> None:
    """A row a contender."""
    given = setting(tiny)
    tokens = int(given.inputs.lengths.sum())
    for name, contender in CONTENDERS.items():
        start_measuring()
        graphs = compiled_graphs()
        start, first, second = contender(given)
        record(
            {
                "loop": name,
                "tokens_per_s": tokens / (second - first),
                "first_epoch_s": first - start,
                "second_epoch_s": second - first,
                "graphs": compiled_graphs() - graphs,
                "peak_memory": peak_memory(),
                "mean_length": float(given.inputs.lengths.mean()),
            }
        )
