import pytest
import torch

from trainers.models.head import as_head, new_head


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_by_hand(dtype: torch.dtype) -> None:
    head = new_head(3, seed=0)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.5, -1.0, 0.0]]))
        head.bias.copy_(torch.tensor([0.25, 0.0]))
    hidden = torch.tensor([[1.0, 2.0, 3.0]], dtype=dtype)
    said = head(hidden)
    assert said.dtype == torch.float32
    assert said.tolist() == [[1 + 6 + 0.25, 0.5 - 2]]


def test_sums_are_kept_in_float32() -> None:
    head = new_head(2, seed=0)
    with torch.no_grad():
        head.weight.fill_(1.0)
    # 256 + 1 is no bfloat16 number.
    assert head(torch.tensor([[256.0, 1.0]], dtype=torch.bfloat16)).tolist() == [[257.0, 257.0]]
    assert head.to(torch.bfloat16)(torch.tensor([[256.0, 1.0]], dtype=torch.bfloat16))[0, 0] == 257.0


def test_a_vocabulary_is_read_at_two_rows_and_stays_what_it_is() -> None:
    vocabulary = torch.nn.Linear(4, 50, bias=False, dtype=torch.bfloat16)
    head = as_head(vocabulary)
    assert head.weight is vocabulary.weight
    assert not head.is_classifier
    hidden = torch.randn((3, 4), generator=torch.Generator().manual_seed(0))
    expected = hidden @ vocabulary.weight[[7, 3]].float().T
    torch.testing.assert_close(head(hidden, (7, 3)), expected)
    with_bias = torch.nn.Linear(4, 50)
    torch.testing.assert_close(as_head(with_bias)(hidden, (7, 3)), with_bias(hidden)[:, [7, 3]])


def test_heads_are_drawn_from_their_seed_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(new_head(5, seed=1).weight, new_head(5, seed=1).weight)
    assert not torch.equal(new_head(5, seed=1).weight, new_head(5, seed=2).weight)
    assert torch.equal(before, torch.get_rng_state())
    assert new_head(5, seed=1).is_classifier
