"""Passes without padding, captured where launching kernels takes longer than running them."""

import torch

from trainers.data.tokens import Tokens, bucket
from trainers.models.pool import Classifier
from trainers.training.compilation import layer_weights
from trainers.training.deepspeed_engine import device, on_device
from trainers.training.inputs import Inputs, Rows, SomeInputs, TokenInputs
from trainers.training.packed.batch import cut, packed
from trainers.training.packed.graphs import Graphs
from trainers.training.packed.reader import Reader
from trainers.training.passes import Piece
from trainers.training.plain_engine import PlainEngine
from trainers.training.settings import EngineConfig

CAPTURED_WORK = 5e12  # positions × weights of a pass, at most: a larger one keeps a GPU busy by itself
CAPTURED_PARAMETERS = 2**27  # trained ones, at most: every graph keeps their gradients


class PackedPasses:
    """Rows end to end, read by the model of an engine without DeepSpeed."""

    def __init__(
        self, model: Classifier, engine: PlainEngine, inputs: Inputs, batch_size: int, config: EngineConfig
    ) -> None:
        self._inputs, self._texts = inputs, batch_size
        self._longest = int(inputs.lengths.max())
        self._captures = captures(config, model)  # positions
        longest = max(self._longest, self._captures // 4 + 8)  # the padding to a bucket is a text too

        def reader() -> Reader:
            return Reader(model, texts=batch_size, longest=longest)

        self._read = Graphs(reader) if self._captures else reader()
        engine.overwritten = self._captures > 0
        self.name = (
            ", packed" + (", captured" if self._captures else "") + (", compiled" if engine.compiled else "")
        )

    def pieces(self, rows: Rows, micro_batch: int) -> list[Piece]:
        """In pieces of as many tokens as the longest examples of a micro-batch have."""
        return [Piece(places, 1) for places in cut(self._inputs.lengths[rows], micro_batch * self._longest)]

    def logits(self, rows: Rows, micro_batch: int) -> torch.Tensor:
        """See Passes."""
        tokens, pad_id, of_all = token_rows(self._inputs, rows)
        total = int(self._inputs.lengths[rows].sum())
        positions = bucket(total) if total <= self._captures else total
        batch = packed(tokens, of_all, pad_id=pad_id, positions=positions, texts=self._texts)
        return self._read(on_device(batch.flat))[: len(rows)]


def captures(config: EngineConfig, model: Classifier) -> int:
    """The most positions of a pass that is captured; 0: none is.

    Checkpointing looks at the state of the random numbers in the midst of a pass, which a capture forbids.
    """
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if (
        config.cuda_graphs == "off"
        or device().type == "cpu"
        or config.gradient_checkpointing
        or trained > CAPTURED_PARAMETERS
    ):
        return 0
    return int(CAPTURED_WORK / layer_weights(model))


def token_rows(inputs: Inputs, rows: Rows) -> tuple[Tokens, int, Rows]:
    """The tokens that hold these rows of token inputs, the padding, and where the rows are among them."""
    if isinstance(inputs, SomeInputs):
        return token_rows(inputs.inputs, inputs.rows[rows])
    assert isinstance(inputs, TokenInputs), "only tokens are packed"
    return inputs.tokens, inputs.pad_id, rows
