import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot
from search.config.search import Sampler
from search.studies.branch_sampler import BranchSampler
from search.studies.mirror import StudyMirror
from search.studies.sampler import Draw, MethodSampler
from search.studies.storage import open_journal
from trainers.components.losses import Bootstrap, Entropy, Gce, LogConf
from trainers.components.optim import Adamw
from trainers.method import Abilities, Method

ABLE = Abilities(prior=True, intermediates=0)
NAIVE = Method(optim=Adamw(lr=1e-3, epochs=2.0))


def optim_branch(*params: Param, name: str = "one") -> Branch:
    option = Option(component="adamw", params=params)
    return Branch(
        name=name,
        family="other",
        hypothesis="numbers matter",
        parent=None,
        slots=(Slot(slot="optim", options=(option,)),),
    )


def sampler_of(branch: Branch, journal: Path, seed: int = 0, sampler: Sampler = "surrogate") -> BranchSampler:
    return with_mirror(branch, journal, seed, sampler)[0]


def with_mirror(
    branch: Branch, journal: Path, seed: int, sampler: Sampler
) -> tuple[BranchSampler, StudyMirror]:
    """A sampler, and the study that it asks."""
    mirror = StudyMirror(open_journal(journal), branch.name, MethodSampler(0))
    return BranchSampler(branch, NAIVE, ABLE, mirror, seed=seed, sampler=sampler), mirror


def drawn(sampler: BranchSampler, known: set[str], near: Method | None = None) -> Draw | None:
    """The last of what the branch offers."""
    draws = sampler.offer(64, known, near)
    return draws[-1] if draws else None


def study(path: Path, name: str = "one") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=open_journal(path))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "optuna.log"


def test_parameters_are_named_by_slot_and_component(journal: Path, branch: Callable[..., Branch]) -> None:
    sampler = sampler_of(branch("one"), journal)
    draws = sampler.offer(12, set(), None)
    numbers = [sampler.start(draw) for draw in draws]
    trials = study(journal).get_trials()
    both = {"loss.kind", "optim.adamw.lr"}
    kinds = set()
    for draw, number, trial in zip(draws, numbers, trials, strict=True):
        loss = draw.method.loss
        kinds.add(loss.kind)
        assert (trial.number, trial.state) == (number, TrialState.RUNNING)
        assert trial.params["loss.kind"] == loss.kind
        assert trial.params["optim.adamw.lr"] == draw.method.optim.lr
        if isinstance(loss, LogConf):
            assert trial.params.keys() == both | {"loss.logconf.aux"}
            assert trial.params["loss.logconf.aux"] == loss.aux
        else:
            assert trial.params.keys() == both
    assert kinds == {"xent", "logconf"}


def test_what_the_branch_leaves_open_is_naive_and_what_it_fixes_is_fixed(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    draw = drawn(sampler_of(branch("one"), journal), set())
    assert draw is not None
    assert draw.method.labels == NAIVE.labels
    assert draw.method.student == NAIVE.student
    assert draw.method.optim.epochs == 1.0  # fixed by the branch
    assert draw.method.optim.batch_size == Adamw().batch_size  # the component's default, not the naive value


def test_ranges_are_kept_and_whole_numbers_stay_whole(journal: Path) -> None:
    params = (
        Range(name="batch_size", low=3.0, high=5.0, log=False),
        Range(name="lr", low=1e-4, high=1e-2, log=True),
        Range(name="weight_decay", low=0.1, high=0.2, log=False),
    )
    sampler = sampler_of(optim_branch(*params), journal)
    optims = [draw.method.optim for _ in range(5) for draw in sampler.offer(8, set(), None)]
    assert {optim.batch_size for optim in optims} == {3, 4, 5}
    assert {type(optim.batch_size) for optim in optims} == {int}
    assert all(1e-4 <= optim.lr <= 1e-2 and 0.1 <= optim.weight_decay <= 0.2 for optim in optims)
    # Half of a log range lies below its geometric middle, 1e-3; of a linear one, an eleventh would.
    assert 8 <= sum(optim.lr < 1e-3 for optim in optims) <= 32
    assert len(optims) == 40


def test_a_log_range_of_whole_numbers(journal: Path) -> None:
    branch = optim_branch(Range(name="batch_size", low=1.0, high=1024.0, log=True))
    sampler = sampler_of(branch, journal)
    sizes = [draw.method.optim.batch_size for _ in range(4) for draw in sampler.offer(8, set(), None)]
    assert min(sizes) < 32 < max(sizes)


def test_the_same_seed_draws_the_same_and_another_something_else(
    tmp_path: Path, branch: Callable[..., Branch]
) -> None:
    offered = []
    for run, seed in enumerate((5, 5, 6)):
        sampler = sampler_of(branch("one"), tmp_path / f"{run}.log", seed=seed)
        offered.append([draw.method for draw in sampler.offer(6, set(), None)])
    assert offered[0] == offered[1] != offered[2]


def test_what_is_known_is_not_offered_and_a_branch_without_new_methods_says_so(journal: Path) -> None:
    branch = optim_branch(Choice(name="lr", values=(1e-4, 1e-3, 1e-2)))
    sampler = sampler_of(branch, journal)
    known = {Method(optim=Adamw(lr=1e-2)).digest}
    tried = []
    while draw := drawn(sampler, known):
        known.add(draw.method.digest)
        sampler.start(draw)
        tried.append(draw.method.optim.lr)
    assert sorted(tried) == [1e-4, 1e-3]
    assert [trial.state for trial in study(journal).get_trials()] == [TrialState.RUNNING] * 2


def test_no_method_is_offered_twice_at_a_time(journal: Path) -> None:
    branch = optim_branch(Choice(name="lr", values=(1e-4, 1e-3, 1e-2)))
    sampler = sampler_of(branch, journal)
    for _ in range(5):
        digests = [draw.method.digest for draw in sampler.offer(64, set(), None)]
        assert len(digests) == len(set(digests))


def test_offers_keep_some_and_renew_some(journal: Path, branch: Callable[..., Branch]) -> None:
    sampler = sampler_of(branch("one"), journal)
    offers = [[draw.method.digest for draw in sampler.offer(20, set(), None)] for _ in range(4)]
    assert [len(offer) for offer in offers] == [8, 16, 20, 20]
    assert offers[1][:8] == offers[0]
    assert offers[3][:12] == offers[2][8:]


def test_half_of_the_draws_are_near_a_good_method(journal: Path) -> None:
    params = (
        Range(name="lr", low=1e-4, high=1e-2, log=True),
        Range(name="weight_decay", low=0, high=1, log=False),
    )
    sampler = sampler_of(optim_branch(*params), journal)
    good = Method(optim=Adamw(lr=1e-3, weight_decay=0.5))
    optims = [draw.method.optim for _ in range(25) for draw in sampler.offer(8, set(), good)]
    near = [abs(math.log10(o.lr) + 3) < 0.4 and abs(o.weight_decay - 0.5) < 0.2 for o in optims]
    # Two standard deviations of a tenth of the range each way, in both: 0.91 of the near half, and of the
    # others 0.4 * 0.4.
    assert sum(near) / len(near) == pytest.approx(0.5 * 0.91 + 0.5 * 0.16, abs=0.09)


def test_a_good_method_of_another_kind_or_out_of_range_is_drawn_near_to_as_far_as_it_goes(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    sampler = sampler_of(branch("one"), journal)
    far = Method(loss=Gce(), optim=Adamw(lr=0.1))
    methods = [draw.method for _ in range(10) for draw in sampler.offer(8, set(), far)]
    assert {method.loss.kind for method in methods} == {"xent", "logconf"}
    assert max(method.optim.lr for method in methods) <= 1.1e-2


def test_a_combination_that_is_refused_is_left_out(journal: Path) -> None:
    branch = optim_branch(Choice(name="lr", values=(1e-3, 5.0)))  # the component allows at most 0.1
    sampler = sampler_of(branch, journal)
    [draw] = sampler.offer(64, set(), None)
    assert draw.method.optim.lr == 1e-3
    assert sampler.offer(64, {draw.method.digest}, None) == []
    assert study(journal).get_trials() == []


def test_what_computes_the_same_as_a_known_method_is_not_drawn(journal: Path) -> None:
    loss = Option(component="bootstrap", params=(Choice(name="beta", values=(0.7, 0.8)),))
    branch = optim_branch(Fixed(name="lr", value=1e-3))
    branch = branch.model_copy(update={"slots": (*branch.slots, Slot(slot="loss", options=(loss,)))})
    known = {Method(loss=Entropy(aux=0.3, warmup=0), optim=Adamw(lr=1e-3)).digest}
    [draw] = sampler_of(branch, journal).offer(64, known, None)
    assert draw.method.loss == Bootstrap(beta=0.8)


def test_a_branch_without_room_gives_its_one_method_once(journal: Path) -> None:
    sampler = sampler_of(optim_branch(Fixed(name="lr", value=2e-3)), journal)
    [draw] = sampler.offer(64, set(), None)
    assert draw.method == Method(optim=Adamw(lr=2e-3))
    assert sampler.offer(64, {draw.method.digest}, None) == []


def test_the_lock_of_a_killed_process_holds_nobody_up(journal: Path, branch: Callable[..., Branch]) -> None:
    sampler_of(branch("one"), journal)
    Path(f"{journal}.lock").symlink_to(journal)  # as Optuna makes it
    started = time.monotonic()
    sampler = sampler_of(branch("one"), journal)
    assert sampler.start(sampler.offer(1, set(), None)[0]) == 0
    assert time.monotonic() - started < 20  # Optuna itself waits for 30 s


def test_a_journal_line_cut_short_is_as_if_never_written(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    first = sampler_of(branch("one"), journal)
    first.start(first.offer(1, set(), None)[0])
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"a","stu')
    sampler = sampler_of(branch("one"), journal, seed=1)
    assert sampler.start(sampler.offer(1, set(), None)[0]) == 1
    assert len(study(journal).get_trials()) == 2


def test_the_trial_of_a_draw_has_its_values_to_the_last_digit(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    sampler = sampler_of(branch("one"), journal)
    for draw in sampler.offer(8, set(), None):
        number = sampler.start(draw)
        trial = study(journal).trials[number]
        assert trial.params == draw.params
        assert trial.distributions == draw.distributions


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_optuna_s_sampler_offers_one_new_method_and_leaves_no_trial_behind(
    journal: Path, branch: Callable[..., Branch], name: Sampler
) -> None:
    sampler = sampler_of(branch("one"), journal, sampler=name)
    known: set[str] = set()
    for number in range(4):
        [draw] = sampler.offer(64, known, None)
        assert sampler.offer(64, known, None) == [draw]  # nothing has happened that would change its mind
        assert sampler.start(draw) == number
        known.add(draw.method.digest)
        [other] = sampler.offer(64, known, None)
        assert other.method != draw.method
    assert [trial.state for trial in study(journal).get_trials()] == [TrialState.RUNNING] * 4


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_where_optuna_s_sampler_repeats_itself_the_rest_is_drawn_at_random(
    journal: Path, name: Sampler
) -> None:
    """All five methods of a branch are found, and a refused one never is."""
    lrs = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 5.0)  # the component allows at most 0.1
    sampler, mirror = with_mirror(optim_branch(Choice(name="lr", values=lrs)), journal, 0, name)
    known: set[str] = set()
    tried = []
    while draw := drawn(sampler, known):
        known.add(draw.method.digest)
        number = sampler.start(draw)
        mirror.end(number, "completed", -draw.method.optim.lr, {})
        tried.append(draw.method.optim.lr)
    assert sorted(tried) == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    assert [trial.state for trial in study(journal).get_trials()] == [TrialState.COMPLETE] * 5


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_optuna_s_sampler_learns_from_the_study(journal: Path, name: Sampler) -> None:
    """PGR falls by the distance to an lr of 1e-3, over four decades: 1 is the median of random draws."""
    branch = optim_branch(Range(name="lr", low=1e-5, high=1e-1, log=True))
    sampler, mirror = with_mirror(branch, journal, 0, name)
    known: set[str] = set()
    distances = []
    for _ in range(40):
        [draw] = sampler.offer(1, known, None)
        known.add(draw.method.digest)
        distances.append(abs(math.log10(draw.method.optim.lr) + 3))
        mirror.end(sampler.start(draw), "completed", -distances[-1], {})
    assert np.median(distances[20:]) < 0.4


def test_optuna_s_sampler_is_seeded(tmp_path: Path, branch: Callable[..., Branch]) -> None:
    def method(run: int, seed: int) -> Method:
        sampler = sampler_of(branch("one"), tmp_path / f"{run}.log", seed, "tpe")
        return sampler.offer(1, set(), None)[0].method

    assert method(0, 5) == method(1, 5) != method(2, 6)
