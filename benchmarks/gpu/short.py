"""Short texts: our loop, padded and packed, captured and compiled, transformers' Trainer, and a plain loop.

LoRA of rank 32 in bf16, batches of 32, lengths as those of chat preferences (hh_harmless: about log-normal,
median 105, mean 123 tokens). The last epoch is measured: kernels are chosen, layers compiled and passes
captured by then, and what the epochs before took more is the cost of that. Trainer stands as a user of peft
has it, with batches drawn at random, as by default, and with batches of similar lengths. Tokens are those of
the examples, without padding.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.utils.rnn import pad_sequence
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from benchmarks.gpu.work import RANK, Record, Row, compiled_graphs, everything, peak_memory, start_measuring
from benchmarks.training.models import (
    QWEN3,
    TINY,
    chat_lengths,
    qwen3,
    random_classifier,
    random_tokens,
    with_lora,
)
from benchmarks.training.throughput import Rows, WithLoss
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.data.tokens import length_batches
from trainers.models.pool import Classifier
from trainers.training.compilation import CompiledLayers, repeated_layers
from trainers.training.deepspeed_engine import device, warm_up
from trainers.training.loop import Floats, Recipe, TokenInputs, fit
from trainers.training.settings import EngineConfig

EPOCHS = 3
OPTIM = Adamw(lr=1e-4, epochs=EPOCHS, batch_size=32)
SMALL, LARGE = "Qwen3-0.6B", "Qwen3-4B"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a contender gets. shape: of QWEN3, or tiny."""

    shape: str
    inputs: TokenInputs
    targets: Floats

    def fresh(self) -> tuple[Classifier, list[torch.nn.Parameter]]:
        """A model with random weights and its adapters."""
        tiny = self.shape == "tiny"
        config = qwen3(**TINY, vocab_size=512) if tiny else qwen3(**QWEN3[self.shape])
        model = random_classifier(config, dtype=torch.bfloat16, device=device())
        return model, with_lora(model, RANK)


def setting(shape: str, examples: int) -> Setting:
    """The model and its examples."""
    lengths = np.minimum(chat_lengths(64), 40) if shape == "tiny" else chat_lengths(examples)
    inputs = TokenInputs(tokens=random_tokens(lengths, 512), pad_id=0)
    targets = np.tile([0.0, 1.0], len(lengths) // 2).astype(np.float32)
    return Setting(shape=shape, inputs=inputs, targets=targets)


def ours(given: Setting, **engine: str) -> Iterator[float]:
    """Times at the start and after each epoch."""
    config = EngineConfig.model_validate({"precision": "bf16", **engine})
    warm_up(config)
    model, parameters = given.fresh()
    recipe = Recipe(plan=everything(len(given.targets)), loss=Xent(), optim=OPTIM, engine=config, seed=0)
    rungs = [epoch / EPOCHS for epoch in range(1, EPOCHS + 1)]
    yield time.perf_counter()
    for _ in fit(model, parameters, given.inputs, given.targets, recipe, rungs):
        _wait()
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
    for epoch in range(EPOCHS):
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


def theirs(given: Setting, sampling: str) -> Iterator[float]:
    """The same for transformers' Trainer. sampling: random, or group_by_length."""
    os.environ.pop("LOCAL_RANK", None)  # with a rank, Trainer would train as a distributed job of one
    model, _ = given.fresh()
    clock = _Times()

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [torch.from_numpy(row["input_ids"].astype(np.int64)) for row in rows]
        masks = [torch.ones_like(of_row) for of_row in ids]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=given.inputs.pad_id),
            "attention_mask": pad_sequence(masks, batch_first=True),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }

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
            train_sampling_strategy=sampling,
        )
        rows: Any = Rows(tokens=given.inputs.tokens, targets=given.targets)
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


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A loop, and how many examples it trains on: enough for a steady pace."""

    name: str
    loop: Callable[[Setting], Iterator[float]]
    shape: str = SMALL
    examples: int = 2048


def _ours(name: str, shape: str = SMALL, examples: int = 2048, **engine: str) -> Contender:
    loop = partial(ours, **engine)
    return Contender(name=f"ours, {name}", loop=loop, shape=shape, examples=examples)


# Trainer comes first: once there is a process group it would train as a distributed job.
CONTENDERS = (
    Contender(name="Trainer", loop=partial(theirs, sampling="random"), examples=256),
    Contender(name="Trainer, by length", loop=partial(theirs, sampling="group_by_length"), examples=256),
    _ours("packed, captured, compiled", packing="on", cuda_graphs="on", compile="on"),
    _ours("packed, captured", packing="on", cuda_graphs="on", compile="off"),
    _ours("packed, compiled", packing="on", compile="on"),
    _ours("packed", packing="on", compile="off"),
    _ours("packed, compiled", LARGE, 1024, packing="on", compile="on"),
    _ours("padded", examples=512, compile="off"),
    _ours("padded, on DeepSpeed", examples=512, compile="off", backend="deepspeed"),
    Contender(name="a plain loop, compiled", loop=plain, examples=512),
)


def run(tiny: bool, record: Record) -> None:
    """A row a contender."""
    for contender in CONTENDERS:
        given = setting("tiny" if tiny else contender.shape, contender.examples)
        record({"loop": contender.name, "shape": given.shape, **measured(contender.loop, given)})


def measured(loop: Callable[[Setting], Iterator[float]], given: Setting) -> Row:
    """Pace, seconds and memory of a loop."""
    start_measuring()
    graphs = compiled_graphs()
    times = list(loop(given))
    tokens = int(given.inputs.lengths.sum())
    return {
        "tokens_per_s": tokens / (times[-1] - times[-2]),
        "first_epoch_s": times[1] - times[0],
        "last_epoch_s": times[-1] - times[-2],
        "steps_an_epoch": -(-len(given.targets) // OPTIM.batch_size),
        "graphs": compiled_graphs() - graphs,
        "peak_memory": peak_memory(),
        "mean_length": float(given.inputs.lengths.mean()),
    }
