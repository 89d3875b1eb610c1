from pathlib import Path

import pytest

from agents.claude.replay import Replay
from agents.language.proposal import Proposal
from agents.language.validation import problems
from benchmarks.agent.proposers import CONFIG, random_rounds, scripted_rounds, summary, write_transcripts
from search.config.load import load_config
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.ledger.record import Record


@pytest.fixture
def config() -> RunConfig:
    return load_config(CONFIG)


def test_what_is_compared_can_run_and_comes_out_of_its_transcripts(config: RunConfig, tmp_path: Path) -> None:
    for name, proposals in (("random", random_rounds(config, 2)), ("said", scripted_rounds(config, 2))):
        assert [len(one.branches) for one in proposals] == [4, 4]
        both = Proposal(branches=tuple(b for one in proposals for b in one.branches), rationale="")
        wrong = problems(
            both,
            naive=config.naive,
            known_branches=(),
            known_methods=(),
            abilities=config.abilities,
        )
        assert wrong == []
        write_transcripts(tmp_path / name, proposals)
        answer = Replay(tmp_path / name, branches=4, seed=0).propose(brief(config, Record()))
        assert answer.proposal == proposals[0]


def test_random_spaces_differ_between_seeds(config: RunConfig) -> None:
    other = config.model_copy(update={"seed": 1})
    assert random_rounds(config, 1) == random_rounds(config, 1) != random_rounds(other, 1)


def test_gains_are_paired_by_seed() -> None:
    rows = [
        {"proposer": proposer, "seed": seed, "pgr": pgr}
        for proposer, pgrs in (("random", (0.1, 0.5)), ("playbook", (0.4, 0.6)))
        for seed, pgr in enumerate(pgrs)
    ]
    found = summary(rows)
    assert found["playbook"]["mean_pgr"] == pytest.approx(0.5)
    assert found["playbook"]["over_random"] == pytest.approx(0.2)
    assert found["playbook"]["over_random_se"] == pytest.approx(0.1)
    assert summary(rows[:1])["random"]["se"] is None
