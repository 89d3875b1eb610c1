import pytest
import torch
from torch.nn import functional as F

from trainers.training.packed import attention

LENGTHS = (3, 1, 7, 0, 5)
BOUNDS = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0).tolist()], dtype=torch.int32)
HEADS, KEYS, SIZE, SCALE = 4, 2, 8, 0.3


def drawn(seed: int = 0) -> list[torch.Tensor]:
    """Queries, keys and values of all texts."""
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.randn((sum(LENGTHS), heads, SIZE), generator=rng).requires_grad_()
        for heads in (HEADS, KEYS, KEYS)
    ]


def packed(rows: list[torch.Tensor]) -> torch.Tensor:
    out: torch.Tensor = attention.packed_attention(*rows, BOUNDS, max(LENGTHS), SCALE)[0]
    return out


def one_by_one(rows: list[torch.Tensor]) -> torch.Tensor:
    """What torch's attention says of each text by itself."""
    texts = zip(*(whole.split(LENGTHS) for whole in rows), strict=True)
    return torch.cat([_alone(*text) for text in texts if len(text[0])])


def _alone(*text: torch.Tensor) -> torch.Tensor:
    query, key, value = (part.transpose(0, 1).unsqueeze(0) for part in text)
    out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=SCALE, enable_gqa=True)
    return out[0].transpose(0, 1)


def test_a_token_sees_what_it_sees_in_its_text_alone() -> None:
    rows = drawn()
    torch.testing.assert_close(packed(rows), one_by_one(rows))


def test_gradients_are_those_of_texts_alone() -> None:
    wanted = torch.randn((sum(LENGTHS), HEADS, SIZE), generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(packed(rows := drawn()), rows, wanted)
    expected = torch.autograd.grad(one_by_one(rows := drawn()), rows, wanted)
    for gradient, known in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, known)


def test_a_token_of_another_text_changes_nothing() -> None:
    rows = drawn()
    before = packed(rows)
    with torch.no_grad():
        rows[1][:3] += 1.0
        rows[2][:3] += 1.0
    after = packed(rows)
    assert not torch.equal(before[:3], after[:3])
    assert torch.equal(before[3:], after[3:])


def test_half_precision_comes_out_as_it_goes_in() -> None:
    rows = [part.detach().bfloat16().requires_grad_() for part in drawn()]
    out = packed(rows)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), one_by_one(drawn()), atol=0.05, rtol=0.05)
    assert all(part.dtype == torch.bfloat16 for part in torch.autograd.grad(out.sum(), rows))


@pytest.mark.parametrize("operator", ["packed_attention", "packed_attention_gradients"])
def test_what_a_compiler_is_told_of_the_operators_is_true(operator: str) -> None:
    rows = drawn()
    arguments = (*rows, BOUNDS, max(LENGTHS), SCALE)
    if operator == "packed_attention_gradients":
        out, denominators = attention.packed_attention(*arguments)
        rows = [part.detach() for part in rows]
        arguments = (torch.ones_like(out), *rows, out.detach(), denominators, *arguments[3:])  # type: ignore[assignment]
        torch.library.opcheck(
            getattr(attention, operator), arguments, test_utils=("test_schema", "test_faketensor")
        )
    else:
        torch.library.opcheck(getattr(attention, operator), arguments)
