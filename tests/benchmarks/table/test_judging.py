from typing import Any

import pytest

from benchmarks.table import campaign, judging
from benchmarks.table.data import Table
from benchmarks.table.judging import AFTER, earlier, winners
from benchmarks.table.world import World


def test_a_campaign_begins_with_what_others_found_on_other_tasks(
    made_up: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "BUDGETS", (10,))
    monkeypatch.setattr(judging, "EARLIER", 10)
    begun: list[dict[str, int]] = []
    init = campaign.Campaign.__init__

    def noted(self: campaign.Campaign, *given: Any, **named: Any) -> None:
        init(self, *given, **named)
        assert self.record.earlier is not None
        begun.append({task.run: len(task.scores) for task in self.record.earlier.with_scores})
        if begun[-1]:
            assert {branch.name[:8] for branch in self.config.branches} == {"earlier-"}

    monkeypatch.setattr(campaign.Campaign, "__init__", noted)
    first, *others = made_up.tasks
    world = World.of(made_up, first, 3)
    [point] = winners(AFTER, world, 3, others)
    assert point.row in world.rows
    assert begun[:2] == [{}, {}]  # the earlier ones
    [at_last] = begun[2:]
    assert set(at_last) == set(others)
    assert min(at_last.values()) >= 8
    assert earlier(made_up, others[0], 3).config.seed != 3
