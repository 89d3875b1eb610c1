import pytest

from search.__main__ import main


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["settings", *words]) == 0
    return capsys.readouterr().out


def test_a_group_s_settings_with_default_bounds_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(capsys, "search.pruning")
    assert "search.pruning.doubt = 0.25   above 0, at most 0.5\n" in output
    assert "    The best 1 / keep of a branch's trials at a rung" in output
    assert "search.promotion" not in output
    assert all(line == line.rstrip() and len(line) <= 140 for line in output.splitlines())


def test_one_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "search.trials") == "search.trials (required)   1 to 100000\n    Methods to try.\n"


def test_every_kind_of_a_group_has_its_own_part(capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(capsys, "agent")
    assert [output.count(f"agent.kind: {kind}") for kind in ("playbook", "claude", "replay")] == [1, 1, 1]
    assert output.count("agent.path (required)") == 1


def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(capsys)
    for place in ("seed", "task.splits.search", "strong.optim.lr", "faults.share", "cache"):
        assert f"\n{place} " in output


@pytest.mark.parametrize(
    ("prefix", "hint"),
    [
        ("search.prunning", "did you mean search.pruning"),
        ("pruning", "did you mean search.pruning?"),
        ("zzzzz", "there are name, seed, task, weak, strong,"),
    ],
)
def test_an_unknown_prefix_names_the_nearest(
    prefix: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", prefix]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    [line] = output.err.splitlines()
    assert line.startswith(f"error: {prefix} is not a setting; {hint}")


def test_a_dot_at_the_end_is_no_matter(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "search.pruning.") == shown(capsys, "search.pruning")
