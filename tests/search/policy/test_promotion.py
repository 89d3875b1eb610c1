from collections.abc import Sequence

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from search.policy import promotion
from search.policy.beliefs import stopped_at
from search.policy.observations import Scoreboard
from search.policy.promotion import Candidates, Promotion, PromotionConfig
from search.scoring.pgr import Reals

NOW = PromotionConfig(first=2)
RUNGS = (0.1, 1.0)  # a tenth is half of the unit interval of the share's logarithm away from 1


def scores(
    points: Sequence[float],
    rungs: Sequence[int],
    values: Sequence[float],
) -> Scoreboard:
    board = Scoreboard()
    for point, rung, value in zip(points, rungs, values, strict=True):
        board.add(stopped_at(np.array([[point, 1.0]]), 1, RUNGS[rung])[0], rung, value)
    return board


def offer(points: Sequence[float], rungs: Sequence[int], costs: Sequence[float] | None = None) -> Candidates:
    """Candidates whose next step costs so much; a new one needs a cost of 9 more to be trained to its end."""
    steps = np.ones(len(points)) if costs is None else np.array(costs, dtype=float)
    new = np.array(rungs, dtype=np.int64) == 0
    return Candidates(
        points=np.array([(x, 1.0) for x in points], dtype=float).reshape(len(points), 2),
        costs=np.column_stack([np.where(new, steps, np.inf), np.where(new, steps + 9, steps)]),
    )


LINE = np.linspace(0, 1, 11)
RISING = scores(LINE.tolist(), [0] * 11, LINE.tolist())


def chosen(config: PromotionConfig, seen: Scoreboard, offered: Candidates, *, seed: int = 0) -> int:
    return Promotion(config, rungs=RUNGS, column=1).choose(seen, offered, np.random.default_rng(seed))


def test_without_candidates_it_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="draw a new trial or end the search"):
        chosen(NOW, RISING, offer([], []))


def test_before_enough_scores_the_earliest_new_trial() -> None:
    config = PromotionConfig(first=12)
    assert chosen(config, RISING, offer([0.9, 0.1, 0.5], [1, 0, 0])) == 1
    empty = scores([], [], [])
    assert chosen(config, empty, offer([0.9, 0.1], [0, 0])) == 0


def test_of_trials_that_wait_the_one_that_promises_most() -> None:
    assert chosen(NOW, RISING, offer([0.1, 0.9, 0.5], [1, 1, 1])) == 1


def test_of_equal_trials_the_cheaper_and_else_the_earlier() -> None:
    assert chosen(NOW, RISING, offer([0.9, 0.9], [1, 1], costs=[4, 1])) == 1
    assert chosen(NOW, RISING, offer([0.9, 0.9], [1, 1], costs=[2, 2])) == 0


def test_the_unit_of_cost_does_not_matter() -> None:
    offered = [
        offer([0.2, 0.8, 0.6], [1, 0, 0], costs=[scale * cost for cost in (4, 2, 1)]) for scale in (1, 60)
    ]
    assert chosen(NOW, RISING, offered[0]) == chosen(NOW, RISING, offered[1])


def test_any_rising_measure_gives_the_same_decision() -> None:
    stretched = scores(LINE.tolist(), [0] * 11, np.exp(20 * LINE).tolist())
    offered = offer([0.1, 0.95, 0.5, 0.7], [1, 0, 1, 1])
    for seed in range(5):
        assert chosen(NOW, RISING, offered, seed=seed) == chosen(NOW, stretched, offered, seed=seed)


def test_where_trials_diverge_nothing_more_is_tried() -> None:
    values = np.where(LINE > 0.5, np.nan, LINE)
    seen = scores(LINE.tolist(), [0] * 11, values.tolist())
    assert chosen(NOW, seen, offer([0.95, 0.75, 0.45], [0, 0, 0])) == 2


def test_when_all_diverged_it_still_chooses() -> None:
    seen = scores(LINE.tolist(), [0] * 11, [np.nan] * 11)
    assert chosen(NOW, seen, offer([0.33, 0.44], [0, 0])) in (0, 1)


def test_a_lucky_score_among_bad_ones_is_not_followed() -> None:
    # Bad around 0.1 but for one score there that tops all; good around 0.9.
    low, high = np.linspace(0, 0.2, 9), np.linspace(0.8, 1, 9)
    points = [*low, *high, 0.1]
    values = [*np.linspace(0, 0.1, 9), *np.linspace(0.7, 0.8, 9), 0.85]
    assert chosen(NOW, scores(points, [0] * 19, values), offer([0.1, 0.95], [1, 1])) == 1


def test_it_sees_past_a_first_rung_that_misleads() -> None:
    # At the first rung a low point looks best, at the end a high one turns out to be, by far.
    points = [*LINE, 0.0, 0.3, 0.6, 0.9]
    values = [*(-LINE), 1.0, 1.3, 1.6, 1.9]
    seen = scores(points, [0] * 11 + [1] * 4, values)
    assert chosen(NOW, seen, offer([0.05, 0.97], [0, 0])) == 1


def test_where_training_further_only_harms_new_methods_come_first() -> None:
    # All methods fall from their first rung to the end; the best so far stopped there, and so may a new one.
    points = [*LINE, *LINE[::2]]
    values = [*LINE, *(LINE[::2] - 2)]
    seen = scores(points, [0] * 11 + [1] * 6, values)
    assert chosen(NOW, seen, offer([0.95, 0.9], [1, 0])) == 1


def test_it_computes_on_one_thread_and_leaves_the_others_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    seen = []

    class Watched(promotion.Surrogate):
        def predict_mean(self, points: Reals) -> tuple[Reals, Reals]:
            seen.append(threads())
            return super().predict_mean(points)

    monkeypatch.setattr(promotion, "Surrogate", Watched)
    with threadpool_limits(2, user_api="blas"):
        chosen(NOW, RISING, offer([0.1, 0.9], [1, 1]))
        assert threads() == {2}
    assert set(map(frozenset, seen)) == {frozenset({1})}


def test_the_same_call_gives_the_same_decision() -> None:
    rng = np.random.default_rng(0)
    seen = scores(rng.random(300).tolist(), [0] * 300, rng.random(300).tolist())
    offered = offer(rng.random(30).tolist(), [0] * 20 + [1] * 10)
    rule = Promotion(PromotionConfig(), rungs=RUNGS, column=1)
    assert [rule.choose(seen, offered, np.random.default_rng(seed)) for seed in range(3)] == [
        rule.choose(seen, offered, np.random.default_rng(seed)) for seed in range(3)
    ]


def test_it_finds_a_peak_with_few_trials() -> None:
    """One rung, exact scores, best at 0.37 of [0, 1]: twenty trials of 200 draws come within 0.01 of it."""
    rng = np.random.default_rng(4)
    rule = Promotion(PromotionConfig(first=5), rungs=(1.0,), column=1)
    tried: list[float] = []
    for seed in range(20):
        offered = rng.random(200)
        seen = scores(tried, [0] * len(tried), [-abs(x - 0.37) for x in tried])
        tried.append(
            float(offered[rule.choose(seen, offer(offered.tolist(), [0] * 200), np.random.default_rng(seed))])
        )
    assert min(abs(x - 0.37) for x in tried) < 0.01


def test_of_few_trials_the_surrogate_waits_for_half_as_many_scores() -> None:
    assert [PromotionConfig().of_trials(trials).first for trials in (1, 8, 24, 32, 400)] == [2, 4, 12, 16, 16]
    assert PromotionConfig(first=3).of_trials(24).first == 3
