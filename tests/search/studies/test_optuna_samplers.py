from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from agents.language.proposal import Branch
from search.studies.mirror import StudyMirror
from search.studies.optuna_samplers import OPTUNA_SAMPLERS
from search.studies.sampler import MethodSampler
from search.studies.space import recalled
from search.studies.storage import open_journal
from trainers.components.losses import LogConf, Xent
from trainers.components.optim import Adamw
from trainers.method import Method


@pytest.fixture
def mirror(tmp_path: Path, branch: Callable[..., Branch]) -> StudyMirror:
    """Sixteen completed trials, half of them with the loss logconf: an aux of 0.75 is the best by far."""
    mirror = StudyMirror(open_journal(tmp_path / "optuna.log"), "one", MethodSampler(0))
    for i in range(16):
        aux = i / 15
        loss = LogConf(aux=aux) if i % 2 else Xent()
        add(mirror, branch("one"), Method(loss=loss, optim=Adamw(lr=1e-3, epochs=1.0)))
        mirror.end(i, "completed", 1 - 2 * abs(aux - 0.75) if i % 2 else -1.0, {})
    return mirror


def add(mirror: StudyMirror, branch: Branch, method: Method) -> int:
    known = recalled(branch, Method(), method)
    return mirror.add(known.params, known.distributions, {})


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_conditional_space_is_suggested_without_a_trace(
    mirror: StudyMirror, branch: Callable[..., Branch], name: str
) -> None:
    draws = list(OPTUNA_SAMPLERS[name](0).draws(mirror.study, branch("one"), Method(), 5))
    assert len(draws) == 5
    for draw in draws:
        both = {"loss.kind", "optim.adamw.lr"}
        assert set(draw.params) == both | (
            {"loss.logconf.aux"} if draw.method.loss.kind == "logconf" else set()
        )
        assert draw.distributions.keys() == draw.params.keys()
    assert len(mirror.study.get_trials()) == 16


def test_tpe_learns_a_conditional_parameter(mirror: StudyMirror, branch: Callable[..., Branch]) -> None:
    draws = OPTUNA_SAMPLERS["tpe"](0).draws(mirror.study, branch("one"), Method(), 20)
    aux = [draw.method.loss.aux for draw in draws if isinstance(draw.method.loss, LogConf)]
    assert len(aux) >= 12  # ten by chance
    assert sum(value > 0.5 for value in aux) > 0.7 * len(aux)


def test_tpe_takes_a_paused_trial_by_its_pgr(tmp_path: Path, branch: Callable[..., Branch]) -> None:
    """The good trials all wait at a rung: to TPE, running trials are among the bad ones."""
    mirror = StudyMirror(open_journal(tmp_path / "optuna.log"), "one", MethodSampler(0))
    for i in range(24):
        loss = LogConf(aux=0.75 + i / 400) if i % 3 == 0 else Xent()
        number = add(mirror, branch("one"), Method(loss=loss, optim=Adamw(lr=1e-3, epochs=1.0)))
        mirror.report(number, 0, 0.9 if i % 3 == 0 else 0.1, {})
        if i % 3:
            mirror.end(number, "pruned", None, {})
    draws = list(OPTUNA_SAMPLERS["tpe"](0).draws(mirror.study, branch("one"), Method(), 20))
    assert sum(draw.method.loss.kind == "logconf" for draw in draws) >= 14
    assert mirror.study.trials[0].state == TrialState.RUNNING


def test_gp_draws_at_random_what_not_all_completed_trials_have(
    mirror: StudyMirror, branch: Callable[..., Branch]
) -> None:
    """It learns that logconf is the better loss, which all have chosen, and nothing about its aux."""
    draws = list(OPTUNA_SAMPLERS["gp"](0).draws(mirror.study, branch("one"), Method(), 8))
    aux = [draw.method.loss.aux for draw in draws if isinstance(draw.method.loss, LogConf)]
    assert len(aux) >= 6
    assert min(aux) < 0.5 < max(aux)


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_combinations_that_cannot_work_are_passed_over(
    tmp_path: Path, branch: Callable[..., Branch], name: str
) -> None:
    mirror = StudyMirror(open_journal(tmp_path / "optuna.log"), "one", MethodSampler(0))
    few = branch("few", lrs=(1e-3, 5.0))  # the component allows at most 0.1
    draws = list(OPTUNA_SAMPLERS[name](0).draws(mirror.study, few, Method(), 12))
    assert 1 <= len(draws) < 12
    assert {draw.method.optim.lr for draw in draws} == {1e-3}
