from collections.abc import Callable

import pytest

from agents.findings.digest import HISTORY_CHARS, first_shown, history, signals, standing
from agents.findings.findings import BranchFinding, Findings, Refusal, TrialFinding
from agents.findings.round_proposal import Note
from agents.language.proposal import Branch
from trainers.components.labels import Median
from trainers.components.repairs import Propagate
from trainers.method import Abilities, Method
from trainers.trial.label_quality import LabelQuality

Make = Callable[..., Findings]


@pytest.fixture
def long_campaign(
    campaign: Make, branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> Callable[[int], Findings]:
    """A campaign of so many trials: four branches of ten trials each a round, all kinds of ends."""

    def make(trials: int) -> Findings:
        rounds = max(1, trials // 40)
        branches = [
            BranchFinding(
                branch=branch(f"branch-{r}-{i}").model_copy(update={"hypothesis": "why " * 40}),
                round=r,
                live=i < 2,
                importance=(("loss.logconf.aux", 0.75), ("optim.adamw.lr", 0.25)),
            )
            for r in range(1, rounds + 1)
            for i in range(4)
        ]
        states = ("completed", "completed", "pruned", "failed")
        found = [
            tried(
                f"t{i:05d}",
                None if states[i % 4] == "failed" else (i * 37 % 100) / 100,
                branch=branches[i // 10 % len(branches)].branch.name,
                state=states[i % 4],
                balance=0.5,
                agreement=0.8,
            )
            for i in range(trials)
        ]
        notes = tuple(Note(round=r, lane="1", text="x" * 600) for r in range(1, rounds + 1) for _ in range(4))
        return campaign(branches=branches, trials=tuple(found), notes=notes)

    return make


@pytest.mark.parametrize(("trials", "most"), [(10, 2_000), (100, 4_500), (1000, 12_000), (2000, 12_000)])
def test_the_text_is_bounded_however_long_the_campaign(
    long_campaign: Callable[[int], Findings], trials: int, most: int
) -> None:
    findings = long_campaign(trials)
    assert (len(history(findings)) + len(standing(findings))) / 4 < most


def test_what_came_first_stays_as_it_was(long_campaign: Callable[[int], Findings], campaign: Make) -> None:
    whole = long_campaign(200)
    for number in range(2, whole.round):
        earlier = whole.model_copy(update={"round": number})
        later = whole.model_copy(update={"round": number + 1})
        assert history(later).startswith(history(earlier).rstrip("\n"))


def test_a_history_that_outgrows_its_bound_loses_its_older_half_at_once() -> None:
    third = HISTORY_CHARS // 3
    starts = [first_shown([third] * n) for n in range(8)]
    assert starts == [0, 0, 0, 0, 3, 3, 3, 6]
    assert first_shown([10 * HISTORY_CHARS]) == 0  # the newest round is always there


def test_what_is_left_out_is_counted(long_campaign: Callable[[int], Findings]) -> None:
    said = history(long_campaign(2000)).splitlines()
    assert said[1].startswith("Rounds 1 to ")
    assert "branches (loss " in said[1]


def test_a_round_with_its_branches_notes_and_refusals(
    campaign: Make, branch: Callable[..., Branch], told: tuple[Note, Refusal]
) -> None:
    note, refusal = told
    found = campaign(
        branches=[BranchFinding(branch=branch("one"), round=1, live=True)], notes=(note,), refused=(refusal,)
    )
    assert history(found) == (
        "What was proposed so far:\n"
        "Round 1\n"
        "  one (loss): It may help. loss: logconf(aux 0.2 to 1)\n"
        "  note of lane 2: logconf falls over at low share\n"
        "  refused: branches[1]: holds the same methods as the branch x\n"
    )
    assert history(campaign()) == "What was proposed so far:\nnothing yet\n"


def test_the_standing_in_full(
    campaign: Make, branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> None:
    branches = [
        BranchFinding(branch=branch("a"), round=1, live=True, importance=(("loss.logconf.aux", 1.0),)),
        BranchFinding(branch=branch("b", 0.5, family="filtering"), round=1, live=False),
    ]
    trials = (
        tried("t1", 0.6, balance=0.51, agreement=0.7, steadiness=0.9),
        tried("t2", 0.1, state="pruned", cause="PGR 0: full", curve=((1 / 3, 0.1),), branch="b", aux=0.75),
        tried("t3", None, branch="b"),
    )
    assert standing(campaign(branches=branches, trials=trials)) == (
        "Round 2 is to be proposed. Trials: 0 running, 1 completed, 1 pruned, 1 failed; 40 left.\n"
        "Weak floor 0.6000 ± 0.0100, ceiling 0.9000 ± 0.0100. PGR is given ± one standard error; another "
        "seed alone moves it by 0.06 to 0.10.\n"
        "Evidence here: weak probabilities, the strong model's features. Not here: zero-shot answers, both "
        "orders of pairs, a consistent probe, the spread of several weak models.\n"
        "\n"
        "Best methods (one seed each):\n"
        "  t1 0.60 ± 0.05 a: loss logconf (aux 0.5, warmup 0.1, threshold weak_mean) [completed, still "
        "rising by +0.10 in its last step, balance 0.51, agreement with its supervisor 0.70, "
        "steadiness 0.90]\n"
        "  t2 0.10 ± 0.05 b: loss logconf (aux 0.75, warmup 0.1, threshold weak_mean) [pruned, one rung; "
        "PGR 0: full]\n"
        "\n"
        "Newest trials:\n"
        "  t1 0.60 ± 0.05 a: loss logconf (aux 0.5, warmup 0.1, threshold weak_mean) [completed, still "
        "rising by +0.10 in its last step, balance 0.51, agreement with its supervisor 0.70, "
        "steadiness 0.90]\n"
        "  t2 0.10 ± 0.05 b: loss logconf (aux 0.75, warmup 0.1, threshold weak_mean) [pruned, one rung; "
        "PGR 0: full]\n"
        "  t3 no PGR b: loss logconf (aux 0.5, warmup 0.1, threshold weak_mean) [failed, no rung; "
        "Diverged: loss is nan]\n"
        "\n"
        "Branches:\n"
        "  a; 1 completed; best 0.60 ± 0.05; mean agreement with the supervisor 0.70; what mattered: "
        "loss.logconf.aux 1.00\n"
        "  b (used up); 1 pruned, 1 failed; best 0.10 ± 0.05; not trained further: 1 at 0.33, the best of "
        "them at 0.10 (1 x full)\n"
        "\n"
        "Failures:\n"
        "  1 x Diverged: loss is nan (in b)\n"
        "\n"
        "Families of all branches proposed:\n"
        "  loss 50%, filtering 50%; entropy 1.00 bits\n"
    )


def test_the_evidence_of_a_task_is_named() -> None:
    everything = Abilities(prior=True, intermediates=0, pairs=True, panel=True)
    assert signals(everything) == (
        "Evidence here: weak probabilities, the strong model's features, zero-shot answers, both orders of "
        "pairs, a consistent probe, the spread of several weak models."
    )
    assert "Not here: both orders of pairs, the spread" in signals(Abilities(prior=True, intermediates=0))


def test_repairs_are_compared_by_what_needs_no_truth(
    campaign: Make, branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> None:
    spread = Method(labels=Median(), repair=Propagate())
    trials = (
        tried("t1", method=spread, labels=LabelQuality(kept=0.8, balance=0.5, predictable=0.9)),
        tried("t2", method=spread, labels=LabelQuality(kept=0.7, balance=0.5, predictable=0.96)),
        tried("t3", labels=LabelQuality(kept=1, balance=0.4)),
        tried(
            "t4", method=Method(labels=Median()), labels=LabelQuality(kept=0.9, balance=0.5, consistent=0.6)
        ),
    )
    said = standing(campaign(branches=[BranchFinding(branch=branch("a"), round=1, live=True)], trials=trials))
    assert "rising by +0.10 in its last step, labels kept 0.80, of class 1 0.50, predictable 0.90]" in said
    assert (
        "; by median > propagate: labels kept 0.70 to 0.80, of class 1 0.50, predictable 0.90 to 0.96" in said
    )
    assert "; by median: labels kept 0.90, of class 1 0.50, consistent 0.60" in said
    assert "by hard" not in said
    assert "labels kept 1.00" not in said


def test_naive_stands_beside_the_gap_once_it_is_known(campaign: Make) -> None:
    assert "naive" not in standing(campaign())
    known = campaign().model_copy(update={"naive_pgr": 0.234})
    assert "ceiling 0.9000 ± 0.0100; the naive baseline's PGR is 0.23. PGR is given" in standing(known)
