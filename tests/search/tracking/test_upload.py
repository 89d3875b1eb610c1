"""Uploads: how far they are, and when they are given up."""

import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import pytest

from search.ledger.events import AnyEvent
from search.tracking import upload as module
from search.tracking.launcher import Tracking
from search.tracking.upload import answers, main, progress, runs_of, upload, watched
from tests.search.tracking.conftest import Campaign, outcome, tracked
from tests.servers.wandb import WandbServer


class Scripted:
    """A tracking process that writes one state of tracking.json after the other, and then ends or hangs."""

    def __init__(self, path: Path, states: list[dict[str, Any]], *, hangs: bool = False) -> None:
        self._path, self._states, self._hangs = path, states, hangs

    @property
    def running(self) -> bool:
        if not self._states:
            return self._hangs
        self._path.write_text(json.dumps(self._states.pop(0)))
        return True


def told(tmp_path: Path, states: list[dict[str, Any]], *, hangs: bool = False) -> tuple[bool, list[str]]:
    path, lines = tmp_path / "tracking.json", list[str]()
    process = cast(Tracking, Scripted(path, states, hangs=hangs))
    return watched(process, path, 3, lines.append), lines


def test_the_address_comes_first_and_then_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    url = "https://wandb.ai/me/pgr/sweeps/one"
    done, lines = told(
        tmp_path,
        [{"sweep": "one"}, {"sweep": "one", "url": url}]
        + [{"sweep": "one", "url": url, "online": list("abc")[:n]} for n in (1, 2, 2, 3)],
    )
    assert done
    assert lines == [f"W&B: {url}", *(f"{n} of 3 runs uploaded" for n in (1, 2, 3))]


def test_a_server_that_does_not_answer_is_given_up_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NO_ANSWER_S", 0.3)
    done, lines = told(tmp_path, [], hangs=True)
    assert not done
    assert lines == ["given up: W&B at 127.0.0.1 has not answered for 0 s"]


def test_a_server_that_answers_has_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: WandbServer
) -> None:
    monkeypatch.setattr(module, "NO_ANSWER_S", 0.2)
    monkeypatch.setattr(module, "NO_PROGRESS_S", 0.6)
    began = time.monotonic()
    done, lines = told(tmp_path, [], hangs=True)
    assert not done
    assert time.monotonic() - began > 0.6
    assert lines == ["given up: W&B has completed no run for 1 s"]


def test_answers(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(server.url)  # 404 is an answer
    assert not answers("http://127.0.0.1:9")
    assert not answers("file:///etc/passwd")
    handler = cast(type[BaseHTTPRequestHandler], server.RequestHandlerClass)
    monkeypatch.setattr(handler, "do_GET", lambda self: self._answer(503, {}), raising=False)
    assert not answers(server.url)


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tracking.json"
    assert progress(path).done == 0
    path.write_text("{")
    assert progress(path).url is None


def test_an_upload_without_a_key_is_a_mistake_in_the_input(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(campaign.run.path)]) == 2
    assert capsys.readouterr().err.startswith("error: tracking.kind is online and no W&B key was found")


def test_an_upload_where_wandb_is_disabled_says_what_to_do(
    campaign: Campaign, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main([str(campaign.run.path)]) == 2
    said = capsys.readouterr().err
    assert "the environment has WANDB_MODE=offline; unset it to upload" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_an_offline_run_is_uploaded_and_its_page_named(
    campaign: Campaign, story: list[AnyEvent], server: WandbServer
) -> None:
    off = tracked(campaign.config, kind="off")
    campaign.at_work(*story, outcome(campaign.run), config=off)
    lines: list[str] = []
    assert upload(campaign.run.path, lines.append)
    total = runs_of(campaign.record)
    assert len(server.runs) == total
    assert server.states[-1] == "FINISHED"
    assert any(line.startswith(f"W&B: {server.url}/me/") for line in lines)
    assert f"{total} of {total} runs uploaded" in lines
    assert lines[-1] == f"W&B has all of {campaign.run.path}"
