"""Real wandb, real processes, servers slow or not there."""

import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from search.ledger.events import AnyEvent
from search.ledger.log import Ledger
from search.tracking.launcher import Tracking, sweep_parameters, wanted_kind
from search.tracking.payloads import flat
from tests.search.tracking.conftest import KEY, Campaign, outcome, tracked
from tests.servers.wandb import WandbServer
from trainers.components.losses import LogConf
from trainers.method import Method


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 5.0], ids=["dead", "slow"])
def test_the_search_does_not_wait_for_a_server(
    campaign: Campaign,
    events: SimpleNamespace,
    server: WandbServer,
    delay_s: float,
    request: pytest.FixtureRequest,
) -> None:
    """Appending goes on at its own pace, and the end is bounded by tracking.patience_s."""
    server.delay_s, server.working = delay_s, bool(delay_s)
    online = tracked(campaign.config, kind="online", patience_s=0.5)
    _, record = campaign.run.load()
    with (
        Tracking(campaign.run, online) as tracking,
        campaign.run.open_ledger(record, online, 1.5e9) as ledger,
    ):
        tracking.start(record.started)
        slowest = max(_append_s(ledger, events, i) for i in range(300))
        ended = time.monotonic()
    assert time.monotonic() - ended < 15  # by far less than the answers to so many requests would take
    assert slowest < 4  # one answer of the slow server takes five seconds
    assert not _processes(campaign.run.path)
    assert not list(Path(tempfile.gettempdir()).iterdir())


def _append_s(ledger: Ledger, events: SimpleNamespace, i: int) -> float:
    began = time.perf_counter()
    ledger.append(events.started(f"t{i}", branch=""))
    return time.perf_counter() - began


def _processes(path: Path) -> list[str]:
    """Command lines, of processes that are alive, that name the path."""
    lines = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((one / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in lines if str(path) in line]


def test_off_starts_nothing(campaign: Campaign, story: list[AnyEvent]) -> None:
    off = tracked(campaign.config, kind="off")
    assert campaign.at_work(*story, outcome(campaign.run), config=off).complete
    assert not (campaign.run.path / "wandb").exists()


def test_a_process_that_cannot_be_started_does_not_stop_the_search(
    campaign: Campaign, story: list[AnyEvent], caplog: pytest.LogCaptureFixture
) -> None:
    (campaign.run.path / "wandb").write_text("in the way")
    campaign.at_work(*story)
    assert "tracking could not be started, the search goes on without" in caplog.text
    assert len(campaign.record.trials) == 6


@pytest.mark.parametrize("place", ["environment", "netrc", "nowhere"])
def test_online_needs_a_key(campaign: Campaign, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    online = tracked(campaign.config, kind="online")
    if place == "environment":
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    if place == "netrc":
        monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
        Path(os.environ["HOME"], ".netrc").write_text(
            f"machine wandb.example\n login user\n password {KEY}\n"
        )
    if place == "nowhere":
        with pytest.raises(
            ValueError, match=r"tracking\.kind is online and no W&B key was found: run `wandb login`"
        ):
            Tracking(campaign.run, online)
    else:
        Tracking(campaign.run, online)


def test_a_key_of_several_lines_is_one_line_without_it(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(ValueError, match="WANDB_API_KEY: must hold a key and nothing else") as caught:
        Tracking(campaign.run, tracked(campaign.config, kind="online"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "environ", "left", "said"),
    [
        ("online", {}, "online", ""),
        (
            "online",
            {"WANDB_MODE": "offline"},
            "offline",
            "nothing is sent to W&B: the environment has WANDB_MODE",
        ),
        (
            "online",
            {"WANDB_MODE": "disabled"},
            "off",
            "nothing is written for W&B: the environment has WANDB_MODE",
        ),
        ("offline", {"WANDB_MODE": "online"}, "offline", ""),
        ("offline", {"WANDB_DISABLED": "true"}, "off", "the environment has WANDB_DISABLED"),
        ("offline", {"WANDB_DISABLED": "false"}, "offline", ""),
        ("off", {"WANDB_MODE": "online"}, "off", ""),
    ],
)
def test_the_environment_switches_off_and_never_on(
    kind: Literal["off", "offline", "online"], environ: dict[str, str], left: str, said: str
) -> None:
    found, why = wanted_kind(kind, environ)
    assert found == left
    assert said in why
    assert bool(why) == (found != kind)


def test_where_wandb_is_disabled_nothing_is_started(
    campaign: Campaign, story: list[AnyEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert campaign.at_work(*story, outcome(campaign.run)).complete
    assert not (campaign.run.path / "wandb").exists()


def test_every_method_has_every_parameter_of_the_sweep() -> None:
    """The twelve slots, and the ten numbers of the one optimiser."""
    parameters = sweep_parameters()
    assert len(parameters) == 12 + 10
    for method in (Method(), Method(loss=LogConf(aux=0.25))):
        assert parameters.keys() <= flat(method.model_dump(mode="json")).keys()
    assert parameters["loss.kind"]["values"][:2] == ["xent", "logconf"]
    assert parameters["optim.adamw.lr"] == {"min": 1e-6, "max": 0.1, "distribution": "log_uniform_values"}
    assert parameters["optim.adamw.batch_size"] == {"min": 1, "max": 1024}
    assert parameters["optim.adamw.schedule"] == {"values": ["linear", "cosine", "constant"]}
