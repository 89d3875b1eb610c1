"""The read-out of a model: from a hidden state to logits, always in float32."""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 2
HEAD_STD = 0.02  # as in the bodies' initialisers: logits start near 0 at any hidden size

Words = tuple[int, int]


class Head(nn.Linear):
    """A linear layer with float32 output.

    A classifier's weights are float32, and `trainers.training.deepspeed_engine` keeps them so when it casts
    the rest of a model to half precision. Under ZeRO-3, whose buffers hold a single data type, and in a
    language model's vocabulary, which is often shared with the embeddings, weights have the body's data type;
    the computation is in float32 nevertheless.
    """

    @property
    def is_classifier(self) -> bool:
        """Whether it scores the two classes, not a vocabulary."""
        return self.out_features == CLASSES

    def forward(self, input: torch.Tensor, rows: Words | None = None) -> torch.Tensor:
        """Logits, float32 [b, 2], of hidden states [b, hidden]; rows: the tokens of a vocabulary to score."""
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        if rows is not None:
            weight = torch.stack([weight[row] for row in rows])  # an index would wait for the CPU
            bias = None if bias is None else torch.stack([bias[row] for row in rows])
        return F.linear(input.float(), weight.float(), None if bias is None else bias.float())


def new_head(hidden: int, seed: int) -> Head:
    """A linear classifier of hidden states: small normal weights drawn from `seed`, zero bias.

    Leaves the global random state untouched.
    """
    drawn = torch.randn((CLASSES, hidden), generator=torch.Generator().manual_seed(seed)) * HEAD_STD
    head = _empty(hidden, CLASSES, bias=True)
    with torch.no_grad():
        head.weight.copy_(drawn)
        head.bias.zero_()
    return head


def as_head(vocabulary: nn.Linear) -> Head:
    """A head that shares the weights of a language model's last layer."""
    head = _empty(
        vocabulary.in_features, vocabulary.out_features, bias=vocabulary.bias is not None, device="meta"
    )
    head.weight, head.bias = vocabulary.weight, vocabulary.bias
    return head


def _empty(hidden: int, rows: int, *, bias: bool, device: str = "cpu") -> Head:
    head: Head = nn.utils.skip_init(Head, hidden, rows, bias=bias, device=device)  # type: ignore[no-untyped-call]  # torch has no types here
    return head
