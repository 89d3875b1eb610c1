import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from search.config.schema import RunConfig
from search.export import script
from search.export.script import data_lines, export_script
from search.storage.run_directory import RunDirectory
from trainers.data.examples import Examples, Task

QUIET = Console(quiet=True)


def test_the_data_holds_inputs_and_weak_labels_alone(small: RunConfig, task: Task) -> None:
    weak = np.linspace(0, 1, len(task.inputs["transfer"]), dtype=np.float32)
    records = [json.loads(line) for line in data_lines(small, task, weak, "test")]
    learn = [record for record in records if record["split"] == "transfer"]
    asked = [record for record in records if record["split"] == "test"]
    assert {frozenset(record) for record in learn} == {frozenset({"split", "text", "weak"})}
    assert {frozenset(record) for record in asked} == {frozenset({"split", "text"})}
    np.testing.assert_array_equal(np.float32([record["weak"] for record in learn]), weak)
    assert tuple(record["text"] for record in asked) == task.inputs["test"].texts


def test_pairs_have_a_prompt_and_two_responses(small: RunConfig) -> None:
    pairs = Examples(texts=("p",), pairs=(("a", "b"),))
    task = Task(inputs={"transfer": pairs, "test": pairs}, truth={})
    first, second = map(json.loads, data_lines(small, task, np.float32([0.25]), "test"))
    assert first == {"split": "transfer", "prompt": "p", "first": "a", "second": "b", "weak": 0.25}
    assert second == {"split": "test", "prompt": "p", "first": "a", "second": "b"}


@pytest.mark.parametrize("name", ["it.txt", "it.py"])
def test_a_name_that_is_taken_or_no_python_is_refused(
    name: str, finished: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "it.jsonl").touch()
    with pytest.raises(ValueError, match=r"must end in \.py|it\.jsonl exists; choose another name"):
        export_script(finished, tmp_path / name, QUIET)


def test_a_method_without_a_template_is_refused_and_nothing_written(
    finished: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "refused", lambda config, method: "loss.formula has no template")
    with pytest.raises(ValueError, match=r"--script .*it\.py: loss\.formula has no template"):
        export_script(finished, tmp_path / "it.py", QUIET)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_file_alone_gives_the_recorded_answers(finished: RunDirectory, tmp_path: Path) -> None:
    """Repaired labels, a balanced half of them, LoRA: in a process that imports nothing of this package."""
    assert export_script(finished, tmp_path / "it.py", QUIET, name="c2").name == "c2"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["it-model", "it.jsonl", "it.py"]
    ran = subprocess.run([sys.executable, "-I", "it.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answers = np.array([float(line) for line in ran.stdout.splitlines()])
    expected = np.load(finished.path / "answers-c2.npy")
    assert expected.std() > 0.01
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_a_script_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "winner.py"

    def interrupted() -> None:
        with script._all_or_nothing(file):
            script.model_folder(file).mkdir()
            script.data_file(file).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
