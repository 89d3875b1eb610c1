import math
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, Slot
from search.studies.branch_sampler import BranchSampler, Draw
from search.studies.storage import open_journal
from trainers.components.losses import LogConf, Product
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
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
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
    draw = drawn(BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0), set())
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
    sampler = BranchSampler(optim_branch(*params), NAIVE, ABLE, open_journal(journal), seed=0)
    optims = [draw.method.optim for _ in range(5) for draw in sampler.offer(8, set(), None)]
    assert {optim.batch_size for optim in optims} == {3, 4, 5}
    assert {type(optim.batch_size) for optim in optims} == {int}
    assert all(1e-4 <= optim.lr <= 1e-2 and 0.1 <= optim.weight_decay <= 0.2 for optim in optims)
    # Half of a log range lies below its geometric middle, 1e-3; of a linear one, an eleventh would.
    assert 8 <= sum(optim.lr < 1e-3 for optim in optims) <= 32
    assert len(optims) == 40


def test_a_log_range_of_whole_numbers(journal: Path) -> None:
    branch = optim_branch(Range(name="batch_size", low=1.0, high=1024.0, log=True))
    sampler = BranchSampler(branch, NAIVE, ABLE, open_journal(journal), seed=0)
    sizes = [draw.method.optim.batch_size for _ in range(4) for draw in sampler.offer(8, set(), None)]
    assert min(sizes) < 32 < max(sizes)


def test_the_same_seed_draws_the_same_and_another_something_else(
    tmp_path: Path, branch: Callable[..., Branch]
) -> None:
    offered = []
    for run, seed in enumerate((5, 5, 6)):
        sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(tmp_path / f"{run}.log"), seed=seed)
        offered.append([draw.method for draw in sampler.offer(6, set(), None)])
    assert offered[0] == offered[1] != offered[2]


def test_what_is_known_is_not_offered_and_a_branch_without_new_methods_says_so(journal: Path) -> None:
    branch = optim_branch(Choice(name="lr", values=(1e-4, 1e-3, 1e-2)))
    sampler = BranchSampler(branch, NAIVE, ABLE, open_journal(journal), seed=0)
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
    sampler = BranchSampler(branch, NAIVE, ABLE, open_journal(journal), seed=0)
    for _ in range(5):
        digests = [draw.method.digest for draw in sampler.offer(64, set(), None)]
        assert len(digests) == len(set(digests))


def test_offers_keep_some_and_renew_some(journal: Path, branch: Callable[..., Branch]) -> None:
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    offers = [[draw.method.digest for draw in sampler.offer(20, set(), None)] for _ in range(4)]
    assert [len(offer) for offer in offers] == [8, 16, 20, 20]
    assert offers[1][:8] == offers[0]
    assert offers[3][:12] == offers[2][8:]


def test_half_of_the_draws_are_near_a_good_method(journal: Path) -> None:
    params = (
        Range(name="lr", low=1e-4, high=1e-2, log=True),
        Range(name="weight_decay", low=0, high=1, log=False),
    )
    sampler = BranchSampler(optim_branch(*params), NAIVE, ABLE, open_journal(journal), seed=0)
    good = Method(optim=Adamw(lr=1e-3, weight_decay=0.5))
    optims = [draw.method.optim for _ in range(25) for draw in sampler.offer(8, set(), good)]
    near = [abs(math.log10(o.lr) + 3) < 0.4 and abs(o.weight_decay - 0.5) < 0.2 for o in optims]
    # Two standard deviations of a tenth of the range each way, in both: 0.91 of the near half, and of the
    # others 0.4 * 0.4.
    assert sum(near) / len(near) == pytest.approx(0.5 * 0.91 + 0.5 * 0.16, abs=0.09)


def test_a_good_method_of_another_kind_or_out_of_range_is_drawn_near_to_as_far_as_it_goes(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    far = Method(loss=Product(), optim=Adamw(lr=0.1))
    methods = [draw.method for _ in range(10) for draw in sampler.offer(8, set(), far)]
    assert {method.loss.kind for method in methods} == {"xent", "logconf"}
    assert max(method.optim.lr for method in methods) <= 1.1e-2


def test_a_combination_that_is_refused_is_left_out(journal: Path) -> None:
    branch = optim_branch(Choice(name="lr", values=(1e-3, 5.0)))  # the component allows at most 0.1
    sampler = BranchSampler(branch, NAIVE, ABLE, open_journal(journal), seed=0)
    [draw] = sampler.offer(64, set(), None)
    assert draw.method.optim.lr == 1e-3
    assert sampler.offer(64, {draw.method.digest}, None) == []
    assert study(journal).get_trials() == []


def test_a_branch_without_room_gives_its_one_method_once(journal: Path) -> None:
    sampler = BranchSampler(
        optim_branch(Fixed(name="lr", value=2e-3)), NAIVE, ABLE, open_journal(journal), seed=0
    )
    [draw] = sampler.offer(64, set(), None)
    assert draw.method == Method(optim=Adamw(lr=2e-3))
    assert sampler.offer(64, {draw.method.digest}, None) == []


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
    journal: Path,
    branch: Callable[..., Branch],
    state: str,
    pgr: float | None,
    told: TrialState,
    value: float,
) -> None:
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    number = sampler.start(sampler.offer(1, set(), None)[0])
    sampler.report(number, 0, -0.1)
    sampler.report(number, 1, 0.25)
    sampler.tell(number, state, pgr)
    [trial] = study(journal).get_trials()
    assert (trial.state, trial.value) == (told, value)
    assert trial.intermediate_values == {0: -0.1, 1: 0.25}


def test_an_end_told_twice_stays_the_first(journal: Path, branch: Callable[..., Branch]) -> None:
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    number = sampler.start(sampler.offer(1, set(), None)[0])
    sampler.tell(number, "completed", 0.5)
    sampler.tell(number, "failed", None)
    assert study(journal).get_trials()[0].state == TrialState.COMPLETE


def test_branches_have_studies_of_their_own(journal: Path, branch: Callable[..., Branch]) -> None:
    storage = open_journal(journal)
    one, two = (BranchSampler(branch(name), NAIVE, ABLE, storage, seed=0) for name in ("one", "two"))
    numbers = [one_of.start(one_of.offer(1, set(), None)[0]) for one_of in (one, one, two)]
    assert numbers == [0, 1, 0]
    assert list(one.open_numbers()) == [0, 1]
    assert list(two.open_numbers()) == [0]


def test_reopening_after_a_crash_finds_every_trial(journal: Path, branch: Callable[..., Branch]) -> None:
    before = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    draws = before.offer(3, set(), None)
    assert [before.start(draw) for draw in draws] == [0, 1, 2]
    before.report(0, 0, 0.1)
    before.tell(0, "completed", 0.4)
    after = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=1)
    assert list(after.open_numbers()) == [1, 2]
    after.report(1, 0, 0.2)
    after.tell(1, "pruned", 0.2)
    [fourth] = after.offer(1, {draw.method.digest for draw in draws}, None)
    assert after.start(fourth) == 3
    assert [trial.state.name for trial in study(journal).get_trials()] == [
        "COMPLETE",
        "PRUNED",
        "RUNNING",
        "RUNNING",
    ]


def test_the_lock_of_a_killed_process_holds_nobody_up(journal: Path, branch: Callable[..., Branch]) -> None:
    BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    Path(f"{journal}.lock").symlink_to(journal)  # as Optuna makes it
    started = time.monotonic()
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    assert sampler.start(sampler.offer(1, set(), None)[0]) == 0
    assert time.monotonic() - started < 5  # Optuna itself waits for 30 s


def test_a_journal_line_cut_short_is_as_if_never_written(
    journal: Path, branch: Callable[..., Branch]
) -> None:
    first = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=0)
    first.start(first.offer(1, set(), None)[0])
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"a","stu')
    sampler = BranchSampler(branch("one"), NAIVE, ABLE, open_journal(journal), seed=1)
    assert sampler.start(sampler.offer(1, set(), None)[0]) == 1
    assert len(study(journal).get_trials()) == 2
