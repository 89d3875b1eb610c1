"""The head of the report."""

from types import SimpleNamespace

from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, SearchedTask
from search.ledger.events import Sources
from search.ledger.record import Record
from search.output.report.about import about
from tests.small_runs.synthetic import CONFIG
from trainers.data.settings import ToyTask
from trainers.models.settings import ToyModel


def test_the_head_names_task_models_sizes_supervisors_and_digests(events: SimpleNamespace) -> None:
    config = load_config(CONFIG, ["task.seed=7"])
    digests = {"test.inputs": "a" * 32, "test.truth": "b" * 32, "weak.model.weights": "c" * 16}
    started = events.run_started().model_copy(update={"sources": Sources(salt="00", digests=digests)})
    found = dict(about(config, Record.of([started])))
    assert found["task"] == "generated reviews (single texts with a binary label), drawn with seed 7"
    assert found["weak supervisor"] == "generated model of kind toy, size weak"
    assert found["strong student"].startswith("generated model of kind toy, size strong")
    assert "1,600 train the weak supervisors" in found["examples"]
    assert "2,000 test them" in found["examples"]
    assert found["supervisors"].startswith("16: 8 taught")
    assert found["digests of the data"] == "test aaaaaaaaaaaa"  # not those of the ground truth
    assert found["digests of the weights"] == "weak cccccccccccc"


def test_a_run_of_ones_own_names_its_files_and_models(config: RunConfig) -> None:
    own = load_config(CONFIG.with_name("sst2.yaml"))
    found = dict(about(own, Record.of([])))
    assert own.task.path in found["task"]  # type: ignore[union-attr]  # a data set
    assert own.strong.model.path in found["strong student"]  # type: ignore[union-attr]
    assert "digests of the data" not in found
    assert found["weak supervisor"].startswith(
        "a bag of words, split by the tokenizer of sentence-transformers/"
    )
    assert found["strong student"].endswith("; naive's is a linear head on its frozen features")
    assert "2,600 train the weak supervisors (200 for each of 13)" in found["examples"]


def test_of_several_tasks_each_has_its_data_and_models_of_its_own(config: RunConfig) -> None:
    first, second, hidden = (ToyTask(seed=seed) for seed in (1, 2, 3))
    other = config.weak.model_copy(update={"model": ToyModel(size="strong")})
    changed = {
        "task": first,
        "tasks": (SearchedTask(name="a", task=first), SearchedTask(name="b", task=second, weak=other)),
        "hidden": (HiddenTask(name="c", task=hidden),),
    }
    rows = about(config.model_copy(update=changed), Record.of([]))
    found = dict(rows)
    assert [label for label, _ in rows] == [
        "task a",
        "task b",
        "weak supervisor of b",
        "weak supervisor",
        "strong student",
        "supervisors",
        "hidden tasks",
    ]
    assert "drawn with seed 2; 1,600 train the weak supervisors" in found["task b"]
    assert found["weak supervisor of b"].endswith("size strong")
    assert found["hidden tasks"] == "c"
