import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    records = [json.loads(line) for line in data_lines({None: small.strong.model}, task, weak, "test")]
    learn = [record for record in records if record["split"] == "transfer"]
    asked = [record for record in records if record["split"] == "test"]
    assert {frozenset(record) for record in learn} == {frozenset({"split", "text", "weak"})}
    assert {frozenset(record) for record in asked} == {frozenset({"split", "text"})}
    np.testing.assert_array_equal(np.float32([record["weak"] for record in learn]), weak)
    assert tuple(record["text"] for record in asked) == task.inputs["test"].texts


def test_pairs_have_a_prompt_and_two_responses(small: RunConfig) -> None:
    pairs = Examples(texts=("p",), pairs=(("a", "b"),))
    task = Task(inputs={"transfer": pairs, "test": pairs}, truth={})
    first, second = map(json.loads, data_lines({None: small.strong.model}, task, np.float32([0.25]), "test"))
    assert first == {"split": "transfer", "prompt": "p", "first": "a", "second": "b", "weak": 0.25}
    assert second == {"split": "test", "prompt": "p", "first": "a", "second": "b"}


def test_a_smaller_model_that_writes_messages_otherwise_has_its_own_texts(
    small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(examples: Examples, tokenizer: Any) -> Examples:
        return replace(examples, texts=tuple(f"{tokenizer}{text}" for text in examples.texts))

    monkeypatch.setattr(script, "as_chats", written)
    monkeypatch.setattr(script, "load_tokenizer", lambda model: "<s>" if model == small.weak.model else "")
    texts = Examples(texts=("a",))
    models = {None: small.strong.model, 0: small.weak.model, 2: small.strong.model}
    task = Task(inputs={"transfer": texts, "test": texts}, truth={})
    learn, asked = map(json.loads, data_lines(models, task, np.float32([0.25]), "test"))
    assert learn == {"split": "transfer", "text": "a", "weak": 0.25, "written": {"0": {"text": "<s>a"}}}
    assert asked == {"split": "test", "text": "a", "written": {"0": {"text": "<s>a"}}}


@pytest.mark.parametrize("name", ["it.txt", "it.py"])
def test_a_name_that_is_taken_or_no_python_is_refused(
    name: str, finished: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "it.jsonl").touch()
    with pytest.raises(ValueError, match=r"must end in \.py|it\.jsonl exists; choose another name"):
        export_script(finished, tmp_path / name, QUIET)


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
    asked = [line for line in map(json.loads, (tmp_path / "it.jsonl").open()) if line["split"] != "transfer"]
    new = "".join(json.dumps({"text": line["text"]}) + "\n" for line in asked[:20])
    (tmp_path / "new.jsonl").write_text(new)
    command = [sys.executable, "-I", "it.py", "--data", "new.jsonl"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    again = np.array([float(line) for line in ran.stdout.splitlines()])
    np.testing.assert_allclose(again, expected[:20], atol=1e-4)


def test_a_script_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "winner.py"

    def interrupted() -> None:
        with script._all_or_nothing(file):
            script.model_folder(file).mkdir()
            script.model_folder(file, 3).mkdir()
            script.data_file(file).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
