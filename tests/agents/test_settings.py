import pytest
from pydantic import TypeAdapter, ValidationError

from agents.settings import AgentConfig, ClaudeConfig, PlaybookConfig, ReplayConfig

AGENT: TypeAdapter[AgentConfig] = TypeAdapter(AgentConfig)


def test_the_kind_decides_and_the_playbook_needs_none() -> None:
    assert AGENT.validate_python({"branches": 2}) == PlaybookConfig(branches=2)
    assert AGENT.validate_python({"kind": "claude", "lanes": 3}) == ClaudeConfig(lanes=3)
    assert AGENT.validate_python({"kind": "replay", "path": "x"}) == ReplayConfig(path="x")
    assert AGENT.validate_python(ClaudeConfig()) == ClaudeConfig()
    for one in (PlaybookConfig(), ClaudeConfig(lanes=2), ReplayConfig(path="x")):
        assert AGENT.validate_json(AGENT.dump_json(one)) == one


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "gpt"},
        {"kind": "claude", "api_key": "sk-1"},
        {"kind": "claude", "key_file": "sk-ant-api03-x"},
        {"kind": "claude", "lanes": 4, "branches": 5},
        {"kind": "claude", "max_usd": -1},
        {"kind": "claude", "model": "a b"},
        {"kind": "claude", "base_url": "http://user:secret@host"},
        {"kind": "replay"},
        3,
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        AGENT.validate_python(wrong)
