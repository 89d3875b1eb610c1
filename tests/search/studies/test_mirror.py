from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from search.studies.mirror import LOST, StudyMirror
from search.studies.sampler import MethodSampler
from search.studies.storage import open_journal

LR = {"lr": FloatDistribution(1e-4, 1e-2, log=True)}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "optuna.log"


def opened(journal: Path, name: str = "one") -> StudyMirror:
    """The mirror as a process that starts has it."""
    return StudyMirror(open_journal(journal), name, MethodSampler(0))


def study(journal: Path) -> optuna.Study:
    return optuna.load_study(study_name="one", storage=open_journal(journal))


def test_the_objective_has_its_name_and_is_maximized(journal: Path) -> None:
    opened(journal)
    opened(journal)
    assert study(journal).metric_names == ["PGR"]
    assert study(journal).direction == optuna.study.StudyDirection.MAXIMIZE
    assert journal.read_text().count("metric_names") == 1


@pytest.mark.parametrize(
    ("state", "pgr", "told", "value"),
    [
        ("completed", 0.7, TrialState.COMPLETE, 0.7),
        ("pruned", 0.3, TrialState.PRUNED, 0.25),  # Optuna keeps the last intermediate value
        ("failed", 0.3, TrialState.FAIL, None),
        ("failed", None, TrialState.FAIL, None),
    ],
)
def test_ends_are_told_as_what_they_are(
    journal: Path, state: str, pgr: float | None, told: TrialState, value: float
) -> None:
    mirror = opened(journal)
    number = mirror.ask().number
    mirror.report(number, 0, -0.1, {"standard error": 0.03})
    mirror.report(number, 1, 0.25, {"standard error": 0.02})
    mirror.end(number, state, pgr, {"cause": "why"})
    [trial] = study(journal).get_trials()
    assert (trial.state, trial.value) == (told, value)
    assert trial.intermediate_values == {0: -0.1, 1: 0.25}
    assert trial.user_attrs == {"standard error": 0.02, "cause": "why"}


def test_an_end_told_twice_stays_the_first(journal: Path) -> None:
    mirror = opened(journal)
    number = mirror.ask().number
    mirror.end(number, "completed", 0.5, {})
    for again in (mirror, opened(journal)):
        again.report(number, 0, 0.1, {"cause": "late"})
        again.end(number, "failed", None, {"cause": "late"})
    [trial] = study(journal).get_trials()
    assert (trial.state, trial.user_attrs, trial.intermediate_values) == (TrialState.COMPLETE, {}, {})


def test_a_trial_can_be_opened_with_parameters_that_are_known(journal: Path) -> None:
    number = opened(journal).add({"lr": 1e-3}, LR, {"trial": "t1"})
    [trial] = study(journal).get_trials()
    assert (number, trial.number, trial.state) == (0, 0, TrialState.RUNNING)
    assert (trial.params, trial.distributions) == ({"lr": 1e-3}, LR)
    assert trial.user_attrs == {"trial": "t1"}


def test_studies_have_numbers_of_their_own(journal: Path) -> None:
    storage = open_journal(journal)
    one, two = (StudyMirror(storage, name, MethodSampler(0)) for name in ("one", "two"))
    assert [mirror.ask().number for mirror in (one, one, two)] == [0, 1, 0]
    assert (len(one), len(two)) == (2, 1)


def test_reopening_after_a_crash_goes_on_with_every_trial(journal: Path) -> None:
    before = opened(journal)
    assert [before.ask().number, before.add({"lr": 1e-3}, LR, {}), before.ask().number] == [0, 1, 2]
    before.report(0, 0, 0.1, {})
    before.report(1, 0, 0.2, {"standard error": 0.03})
    before.end(0, "completed", 0.4, {})
    after = opened(journal)
    assert len(after) == 3
    size = journal.stat().st_size
    after.report(1, 0, 0.2, {"standard error": 0.03})  # known already
    assert journal.stat().st_size == size
    after.report(1, 1, 0.3, {"standard error": 0.02})
    after.end(1, "pruned", 0.3, {})
    assert after.ask().number == 3
    trials = study(journal).get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "RUNNING", "RUNNING"]
    assert trials[1].intermediate_values == {0: 0.2, 1: 0.3}
    assert trials[1].user_attrs == {"standard error": 0.02}


def test_trials_that_nobody_knows_have_failed(journal: Path) -> None:
    mirror = opened(journal)
    numbers = [mirror.ask().number for _ in range(3)]
    mirror.end(numbers[0], "completed", 0.5, {})
    mirror.settle({numbers[1]})
    trials = study(journal).get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL]
    assert trials[2].user_attrs == {"cause": LOST}


def test_a_study_that_was_cut_short_is_filled_up_to_a_number(journal: Path) -> None:
    mirror = opened(journal)
    mirror.ask()
    mirror.fill(3)
    mirror.fill(2)
    assert mirror.ask().number == 3
    states = [trial.state.name for trial in study(journal).get_trials()]
    assert states == ["RUNNING", "FAIL", "FAIL", "RUNNING"]
    assert study(journal).get_trials()[1].user_attrs == {"cause": LOST}


def test_the_version_tells_whether_the_study_has_changed(journal: Path) -> None:
    mirror = opened(journal)
    versions = [mirror.version]
    number = mirror.ask().number
    versions.append(mirror.version)
    mirror.report(number, 0, 0.1, {})
    versions.append(mirror.version)
    mirror.end(number, "completed", 0.1, {})
    versions.append(mirror.version)
    assert versions == sorted(set(versions))
    mirror.end(number, "failed", None, {})
    assert mirror.version == versions[-1]
