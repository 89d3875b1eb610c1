import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from search.policy.pruning import Correct, Decision, PruningConfig, Rivals
from search.policy.pruning import decide as decide_beside

N, GAP = 1000, 0.2
SURE = PruningConfig(seed_sd=0.0, min_rivals=1)


def among(rivals: Sequence[Correct]) -> Rivals:
    there = Rivals()
    for rival in rivals:
        there.add(rival)
    return there


def decide(config: PruningConfig, right: Correct, rivals: Sequence[Correct], gap: float) -> Decision:
    return decide_beside(config, right, among(rivals), gap, config.seed_sd**2)


def right_on(count: int, n: int = N) -> np.ndarray:
    """The first `count` of n examples: the differences between two of these have only one sign."""
    return np.arange(n) < count


def test_too_few_rivals_stop_nobody() -> None:
    config = PruningConfig(min_rivals=4)
    best = [right_on(N)] * 4
    assert decide(config, right_on(0), best[:3], GAP) == "pause"
    assert decide(config, right_on(0), best, GAP) == "stop"


def test_the_first_trial_at_a_rung_goes_on() -> None:
    assert decide(SURE, right_on(0), [], GAP) == "pause"


def test_nan_is_stopped_at_once_and_nobody_is_measured_by_it() -> None:
    nan, low, high = (np.array([value]) for value in (np.nan, 0.1, 0.9))
    assert decide(SURE, nan, [], GAP) == "stop"
    assert decide(SURE, nan, [low, high], GAP) == "stop"
    assert decide(SURE, low, [nan], GAP) == "pause"
    assert decide(SURE, low, [nan, high, nan], GAP) == "stop"
    assert decide(SURE, high, [nan, low, nan, low], GAP) == "pause"


@pytest.mark.parametrize(("count", "decision"), [(901, "pause"), (900, "pause"), (700, "stop")])
def test_the_best_third_goes_on_ties_included(count: int, decision: str) -> None:
    # Nine trials, one in three is kept: the third best of the rivals has 900 right.
    rivals = [right_on(right) for right in (940, 920, 900, 600, 500, 400, 300, 200)]
    assert decide(SURE, right_on(count), rivals, GAP) == decision


def test_all_alike_all_go_on() -> None:
    assert decide(SURE, right_on(500), [right_on(500)] * 20, GAP) == "pause"


@pytest.mark.parametrize(("doubt", "decision"), [(0.19, "pause"), (0.20, "stop")])
def test_the_chance_worked_out_by_hand(doubt: float, decision: str) -> None:
    # Twenty of 1,000 examples behind: 0.1 PGR. Paired variance of examples 25 * 0.02 * 0.98 / 999 = 0.00049,
    # of the two seeds 2 * 0.08^2 = 0.0128: z = 0.1 / 0.115284 = 0.86742, and the chance is 0.1929.
    config = PruningConfig(seed_sd=0.08, min_rivals=1, doubt=doubt)
    assert decide(config, right_on(700), [right_on(720)], GAP) == decision


def test_pairing_sees_what_two_accuracies_would_not() -> None:
    # Two points behind. On the same examples otherwise that is certain (z = 4.5); on independent ones it is
    # within the error (variance of the difference about 2 * 0.25 / 1000, z = 0.9, chance 0.18).
    config = PruningConfig(seed_sd=0.0, min_rivals=1, doubt=0.1)
    assert decide(config, right_on(500), [right_on(520)], GAP) == "stop"
    apart = np.roll(right_on(520), 500)
    assert decide(config, right_on(500), [apart], GAP) == "pause"


def test_a_wider_gap_makes_the_same_difference_smaller() -> None:
    config = PruningConfig(seed_sd=0.08, min_rivals=1)
    assert decide(config, right_on(700), [right_on(725)], 0.2) == "stop"
    assert decide(config, right_on(700), [right_on(725)], 0.5) == "pause"


def test_the_order_of_the_rivals_does_not_matter() -> None:
    rivals = [right_on(right) for right in (940, 900, 600, 300)]
    decisions = {decide(SURE, right_on(800), list(order), GAP) for order in itertools.permutations(rivals)}
    assert decisions == {"stop"}


def test_in_order_of_arrival_the_best_always_goes_on() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(np.arange(100, 1000, 60))
        arrived: list[np.ndarray] = []
        for count in order:
            trial = right_on(count)
            if count == order.max():
                assert decide(SURE, trial, arrived, GAP) == "pause"
            arrived.append(trial)


def test_the_truly_best_survives_its_noise_and_the_hopeless_do_not() -> None:
    """Twelve trials with true PGRs from -1 to 1.2, seed noise of 0.08, judged against all others."""
    rng = np.random.default_rng(1)
    config = PruningConfig()
    truth = np.linspace(-1, 1.2, 12)
    stopped = np.zeros(len(truth))
    for _ in range(200):
        accuracy = 0.6 + GAP * (truth + rng.normal(0, 0.08, len(truth)))
        trials = rng.random(N) < accuracy[:, None]
        for i, trial in enumerate(trials):
            rivals = [other for j, other in enumerate(trials) if j != i]
            stopped[i] += decide(config, trial, rivals, GAP) == "stop"
    assert stopped[-1] == 0
    assert stopped[-4] < 0.5 * 200  # the best that is not among the best third is 0.2 PGR behind its last
    assert (stopped[:6] == 200).all()


def test_a_good_trial_is_seldom_stopped_by_equals() -> None:
    rng = np.random.default_rng(2)
    stops = 0
    for _ in range(300):
        accuracy = 0.7 + GAP * rng.normal(0, 0.08, 10)
        first, *rivals = rng.random((10, N)) < accuracy[:, None]
        stops += decide(PruningConfig(), first, rivals, GAP) == "stop"
    # Of ten equals seven are outside the best third, by chance alone; a rule blind to noise would stop them.
    assert stops / 300 < 0.45


def test_without_any_spread_the_difference_decides() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decide(SURE, right_on(0), [right_on(N)], GAP) == "stop"
        assert decide(SURE, right_on(N), [right_on(N)], GAP) == "pause"


@pytest.mark.parametrize(("right", "decision"), [(0, "stop"), (1, "pause")])
def test_a_single_example_has_no_spread(right: int, decision: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decide(SURE, right_on(right, 1), [right_on(1, 1)], GAP) == decision


@pytest.mark.parametrize(
    "rungs",
    [
        (),
        (0.5,),
        (0.5, 0.25, 1.0),
        (0.5, 0.5, 1.0),
        (0.0, 1.0),
        (-0.5, 1.0),
        (1.0, 2.0),
        (float("nan"), 1.0),
        tuple(i / 17 for i in range(1, 18)),  # more than the surrogate's evidence has places
    ],
)
def test_rungs_that_do_not_rise_to_one_are_refused(rungs: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        PruningConfig(rungs=rungs)


def test_rungs_error_names_the_value() -> None:
    with pytest.raises(ValidationError, match=r"rungs must be rising shares .* got \[0\.5, 0\.25, 1\.0\]"):
        PruningConfig(rungs=(0.5, 0.25, 1.0))


@pytest.mark.parametrize(
    "wrong", [{"keep": 1.0}, {"doubt": 0.0}, {"doubt": 0.6}, {"seed_sd": float("nan")}, {"min_rivals": 0}]
)
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PruningConfig(**wrong)


def test_numbers_judge_like_answers() -> None:
    rivals = [np.array([loss]) for loss in (-0.1, -0.2, -0.3, -0.4, -0.5)]
    assert decide(SURE, np.array([-0.15]), rivals, 1.0) == "pause"
    assert decide(SURE, np.array([-0.25]), rivals, 1.0) == "stop"  # two of six are kept
