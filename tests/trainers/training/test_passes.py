import pytest

from trainers.training.passes import even_pieces


def test_pieces_are_even_and_within_the_micro_batch() -> None:
    assert [piece.places.tolist() for piece in even_pieces(7, 3)] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [piece.places.tolist() for piece in even_pieces(2, 7)] == [[0, 1]]


def test_members_take_equal_numbers_of_pieces_that_cover_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.training.passes.world_size", lambda: 3)
    cut = []
    for rank in range(3):
        monkeypatch.setattr("trainers.training.passes.rank", lambda rank=rank: rank)
        cut.append([(piece.places.tolist(), piece.counts) for piece in even_pieces(7, 1)])
    assert cut == [
        [([0], 1), ([1], 1), ([2], 1)],
        [([3], 1), ([4], 1), ([0], 0)],
        [([5], 1), ([6], 1), ([0], 0)],
    ]
