import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.findings.findings import BranchFinding, Findings, Refusal, TrialFinding
from agents.findings.round_proposal import Note
from agents.language.proposal import Branch, Option, Range, Slot
from tests.servers.messages_api import ScriptedClaude
from trainers.components.losses import LogConf
from trainers.method import Abilities, Method

KEY = 'sk-ant-secret/+"key'


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key in the environment that JSON has to escape; no other setting of the SDK is there."""
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_LOG"):
        monkeypatch.delenv(name, raising=False)
    # The server speaks HTTP; the certificates of the system take longer to read than most tests take.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return KEY


@pytest.fixture
def claude(key: str) -> Iterator[ScriptedClaude]:
    """A server that accepts the key; a test sets `answer`."""
    script = ScriptedClaude(answer=lambda body: pytest.fail("nothing was scripted"), key=key)
    with script.serving():
        yield script


@pytest.fixture
def branch() -> Callable[..., Branch]:
    """branch(name, low): loss logconf with aux between low and 1."""

    def make(name: str, low: float = 0.2, family: str = "loss", parent: str | None = None) -> Branch:
        aux = Range(name="aux", low=low, high=1.0, log=False)
        slot = Slot(slot="loss", options=(Option(component="logconf", params=(aux,)),))
        return Branch(name=name, family=family, hypothesis="It may help.", parent=parent, slots=(slot,))

    return make


@pytest.fixture
def spoken(branch: Callable[..., Branch]) -> Callable[..., str]:
    """spoken(*branches, rationale=...): a proposal as the model would write it."""

    def make(*branches: Branch, rationale: str = "because") -> str:
        return json.dumps({"branches": [b.model_dump() for b in branches], "rationale": rationale})

    return make


@pytest.fixture
def campaign() -> Callable[..., Findings]:
    """campaign(branches, trials, ...): findings of the round after the last branch."""

    def make(*, branches: list[BranchFinding] | None = None, **changes: Any) -> Findings:
        found = branches or []
        values: dict[str, Any] = {
            "round": 1 + max((one.round for one in found), default=0),
            "weak_acc": 0.6,
            "weak_se": 0.01,
            "ceiling_acc": 0.9,
            "ceiling_se": 0.01,
            "naive": Method(),
            "abilities": Abilities(prior=False, intermediates=0),
            "branches": tuple(found),
            "trials": (),
            "trials_left": 40,
        }
        return Findings(**(values | changes))

    return make


@pytest.fixture
def tried() -> Callable[..., TrialFinding]:
    """tried(name, pgr, ...): a completed trial of branch "a" with the loss logconf."""

    def make(name: str, pgr: float | None = 0.5, *, aux: float = 0.5, **changes: Any) -> TrialFinding:
        values: dict[str, Any] = {
            "trial": name,
            "branch": "a",
            "method": Method(loss=LogConf(aux=aux)),
            "seed": 0,
            "state": "completed" if pgr is not None else "failed",
            "pgr": pgr,
            "se": None if pgr is None else 0.05,
            "curve": () if pgr is None else ((1 / 3, pgr - 0.1), (1.0, pgr)),
            "cause": None if pgr is not None else "Diverged: loss is nan",
            "train_s": 1.0,
        }
        return TrialFinding(**(values | changes))

    return make


@pytest.fixture
def told() -> tuple[Note, Refusal]:
    """A note and a refusal of round 1."""
    return (
        Note(round=1, lane="2", text="logconf falls over at low share"),
        Refusal(round=1, text="branches[1]: holds the same methods as the branch x"),
    )
