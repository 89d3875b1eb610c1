import os
from pathlib import Path

import pytest

from cluster.keys import keys_of, read_keys


def keys(path: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    path.write_text(text)
    path.chmod(mode)
    return {"KEYS": str(path)}


def test_lines_as_a_shell_reads_them(tmp_path: Path) -> None:
    text = "# mine\n\nA=one=1\nexport B='two words'\nC=\"three\"\nD=\n"
    found = keys_of(keys(tmp_path / "keys", text) | {"C": "set before"})
    assert found == {"A": "one=1", "B": "two words", "D": ""}


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("A=1\nsk-secret\n", 0o600, r"line 2: must be NAME=value"),
        ("A=sk-secret\n", 0o644, r"everybody on this machine may read these keys; chmod 600"),
    ],
)
def test_a_mistake_is_named_and_no_key_repeated(tmp_path: Path, text: str, mode: int, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        keys_of(keys(tmp_path / "keys", text, mode))
    assert "sk-secret" not in str(caught.value)


def test_the_usual_file_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KEYS", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert keys_of({}) == keys_of({"KEYS": "/nowhere"}) == {}
    keys(tmp_path / ".weak-to-strong-keys", "WANDB_API_KEY=x\n")
    read_keys()
    assert os.environ.pop("WANDB_API_KEY") == "x"
