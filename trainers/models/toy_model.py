"""The offline task: made-up reviews, a word tokenizer, and two tiny Qwen3-shaped models.

Nothing here uses the network. The strong model is pretrained here as a causal language model on reviews
followed by their verdicts, so it knows the concept before it sees a weak label, but not the trade words,
which this text leaves out. A task never contains these reviews (see `toy_text.reserved_for_pretraining`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tqdm import tqdm

from trainers.data.toy_text import RARE, VERDICTS, hasty_verdict, reviews, vocabulary
from trainers.gang import name_accelerator
from trainers.models.settings import ToyModel
from trainers.scratch import scratch_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

Size = Literal["weak", "strong"]

log = logging.getLogger(__name__)

PAD, UNK, EOS = "<pad>", "<unk>", "<eos>"
MAX_TOKENS = 64
PRETRAINING_STREAM, INIT_SEED = 2, 0
INIT_STD = 0.1  # near 1 / sqrt(hidden size), as the usual 0.02 is for wide models
PRETRAIN_BATCH = 64
PRETRAIN_LR = 5e-3
PRETRAIN_WARMUP = 0.1
VERDICT_WEIGHT = 10.0  # a sixteenth of the words are verdicts; at weight 1 learning takes thousands of steps
PRETRAIN_THREADS = 1  # a second thread saves 25% on an idle machine and takes 20 times as long on a busy one
SHAPES = {
    "weak": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 8},
    "strong": {"hidden_size": 48, "intermediate_size": 128, "num_hidden_layers": 3, "head_dim": 24},
}
CHECKSUMS = "checksums.json"


def toy_tokenizer(size: Size = "strong") -> PreTrainedTokenizerFast:
    """A tokenizer with a token per word that the task can contain; pads on the right.

    The weak model has no tokens for rare words: it reads each as the unknown word.
    """
    known = [word for word in vocabulary() if size == "strong" or word not in RARE]
    words = [PAD, UNK, EOS, *known]
    core = tokenizers.Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNK))
    core.pre_tokenizer = WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        unk_token=UNK,
        eos_token=EOS,
        padding_side="right",
        model_max_length=MAX_TOKENS,
    )


def build_toy_model(config: ToyModel, *, cache: Path) -> PreTrainedModel:
    """A Qwen3ForCausalLM of the given size, in float32 on the CPU, in evaluation mode.

    The strong size is loaded from `pretrained_folder`.
    """
    if config.size == "weak":
        return _initial(config.size)
    home = pretrained_folder(config, cache=cache)
    loaded: PreTrainedModel = transformers.Qwen3ForCausalLM.from_pretrained(home)
    return loaded


def pretrained_folder(config: ToyModel, *, cache: Path) -> Path:
    """The folder of the strong size and its tokenizer: `cache`/<content hash>.

    The first call pretrains the model (half a minute on one core), and a damaged copy is replaced. Processes
    may race: each trains in its own directory and the first to finish publishes.
    """
    home = cache / f"toy-{content_hash(config)}"
    if not _intact(home):
        _publish(_pretrained(config), home)
    return home


def toy_shape(size: Size) -> Qwen3Config:
    """The configuration of a toy model."""
    tokenizer = toy_tokenizer(size)
    settings: dict[str, Any] = {
        **SHAPES[size],
        "vocab_size": len(tokenizer),
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": MAX_TOKENS,
        "tie_word_embeddings": True,
        "use_cache": False,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": INIT_STD,
    }
    return transformers.Qwen3Config(**settings)


def _initial(size: Size) -> Qwen3ForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(INIT_SEED)
        model = transformers.Qwen3ForCausalLM(toy_shape(size))
    model.train(False)
    return model


def _pretraining_texts() -> Iterator[str]:
    rng = np.random.default_rng([PRETRAINING_STREAM])
    for review in reviews(rng, pretraining=True):
        yield f"{review.prompt} {VERDICTS[hasty_verdict(review, rng)]} {EOS}"


def _pretrained(config: ToyModel) -> Qwen3ForCausalLM:
    model, tokenizer, texts = _initial(config.size), toy_tokenizer(), _pretraining_texts()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PRETRAIN_LR, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_then_linear(config.pretrain_steps))
    verdicts = torch.tensor(tokenizer.convert_tokens_to_ids(list(VERDICTS)))
    model.train()
    with _threads(PRETRAIN_THREADS):
        for _ in tqdm(range(config.pretrain_steps), desc="pretraining the strong toy model", disable=None):
            batch = tokenizer(list(islice(texts, PRETRAIN_BATCH)), padding=True, return_tensors="pt")
            loss = _pretraining_loss(model, batch["input_ids"], batch["attention_mask"], verdicts)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    log.info(
        "pretrained the strong toy model for %d steps, last loss %.3f", config.pretrain_steps, loss.item()
    )
    return model


def _warm_then_linear(steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at each step: linear warm-up, then linear decay."""
    warmup = max(1, int(PRETRAIN_WARMUP * steps))
    return lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup + 1))


def _pretraining_loss(
    model: Qwen3ForCausalLM, ids: torch.Tensor, mask: torch.Tensor, verdicts: torch.Tensor
) -> torch.Tensor:
    """Next-word cross-entropy over ids [batch, length], without padding and with a weight on verdicts."""
    logits, targets = model(input_ids=ids).logits[:, :-1], ids[:, 1:]
    weights = mask[:, 1:].float().masked_fill(torch.isin(targets, verdicts), VERDICT_WEIGHT)
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def content_hash(config: ToyModel) -> str:
    """A digest of everything that affects the weights: config, shape, constants, text, versions."""
    content = {
        "config": config.model_dump(exclude={"readout"}),
        "shape": SHAPES[config.size],
        "training": [PRETRAIN_BATCH, PRETRAIN_LR, PRETRAIN_WARMUP, VERDICT_WEIGHT, INIT_STD, INIT_SEED],
        "vocabulary": sorted(toy_tokenizer(config.size).get_vocab()),
        "text": list(islice(_pretraining_texts(), 256)),
        "versions": [torch.__version__, transformers.__version__],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _digests(home: Path) -> dict[str, str]:
    files = sorted(p for p in home.iterdir() if p.is_file() and p.name != CHECKSUMS)
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _intact(home: Path) -> bool:
    record = home / CHECKSUMS
    return record.is_file() and record.read_bytes() == json.dumps(_digests(home)).encode()


def _publish(model: PreTrainedModel, home: Path) -> None:
    """Save model and tokenizer to a draft and rename it to `home`; an intact copy already there stays."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(home.parent) as scratch:
        draft = scratch / "draft"
        name_accelerator()
        model.save_pretrained(draft)
        toy_tokenizer().save_pretrained(draft)
        (draft / CHECKSUMS).write_text(json.dumps(_digests(draft)))
        if home.exists() and not _intact(home):
            log.warning("the model at %s is damaged and is replaced", home)
            with suppress(FileNotFoundError):  # another process has just moved it away
                home.rename(scratch / "damaged")
        try:
            draft.rename(home)
        except OSError:
            if not _intact(home):
                raise
            log.info("another process has published %s first", home)
