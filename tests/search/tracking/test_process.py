"""The process that tells W&B, and servers that are away."""

import time

import pytest

from search.ledger.events import AnyEvent
from search.tracking.upload import main
from tests.search.tracking.conftest import Campaign, outcome, tracked
from tests.servers.wandb import WandbServer

pytestmark = pytest.mark.slow


def test_a_server_that_was_away_is_told_everything_once_it_is_back(
    campaign: Campaign, story: list[AnyEvent], server: WandbServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.working = False
    impatient = tracked(campaign.config, kind="online", patience_s=0)
    began = time.monotonic()
    assert not campaign.at_work(*story, outcome(campaign.run), config=impatient).complete
    assert time.monotonic() - began < 10
    assert f"python -m search.tracking {campaign.run.path}" in caplog.text
    server.working = True
    assert main([str(campaign.run.path)]) == 0
    assert set(server.exit_codes) == {campaign.id} | {
        f"{campaign.id}-{name}" for name in campaign.record.trials
    }
    assert main([str(campaign.run.path)]) == 0
    assert len(server.sweeps) == 1
