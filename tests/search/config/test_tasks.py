import pytest

from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.load import changed, load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, SearchedTask
from tests.small_runs.settings import REPO
from trainers.components.optim import Adamw
from trainers.data.settings import DatasetTask, PairFields, ToyTask
from trainers.models.settings import ToyModel

ELSEWHERE = HiddenTask(name="elsewhere", task=ToyTask(seed=5))


def loaded(*overrides: str) -> RunConfig:
    return load_config(REPO / "configs/dev.yaml", overrides)


def test_a_run_has_no_hidden_task_unless_asked() -> None:
    assert loaded().hidden == ()
    assert loaded().on(None) == loaded()


def test_on_a_hidden_task_everything_else_is_the_run_s(config: RunConfig) -> None:
    there = config.model_copy(update={"hidden": (ELSEWHERE,)}).on(ELSEWHERE)
    assert there == config.model_copy(update={"task": ELSEWHERE.task})
    assert there.confirm_seeds() == config.confirm_seeds()


def test_a_hidden_task_may_have_a_supervisor_and_a_student_of_its_own(config: RunConfig) -> None:
    weak = SupervisorConfig(model=ToyModel(size="weak"), optim=Adamw(lr=3e-3))
    strong = LearnerConfig(model=ToyModel(size="strong"), optim=Adamw(lr=5e-3, epochs=1))
    there = config.on(HiddenTask(name="other", task=ToyTask(seed=5), weak=weak, strong=strong))
    assert (there.weak, there.strong, there.naive.optim) == (weak, strong, strong.optim)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "hidden=[{name: a, task: {kind: toy}}, {name: a, task: {kind: toy}}]",
            "hidden: two tasks are named 'a'; give each a name of its own",
        ),
        ("hidden=[{name: a b, task: {kind: toy}}]", "hidden.0.name: "),
        ("hidden=[{name: a}]", "hidden.0.task is missing"),
        ("hidden=[{name: a, task: {kind: toy, trial: 2}}]", "hidden.0.task.trial is not a setting"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(override: str, line: str) -> None:
    with pytest.raises(ValueError, match="hidden") as caught:
        loaded(override)
    assert str(caught.value).removeprefix(f"{REPO}/configs/dev.yaml: ").startswith(line)
    assert "\n" not in str(caught.value)


def test_rows_of_a_supervisor_s_own_must_be_there_on_hidden_tasks_too() -> None:
    splits = "splits: {weak_train: 20, transfer: 9, search: 9, test: 9}"
    with pytest.raises(ValueError, match=r"hidden\.0\.task\.splits\.weak_train has 20: set it to at most 1"):
        loaded(f"hidden=[{{name: a, task: {{kind: toy, {splits}}}}}]", "baselines.own_rows=2")


PAIR = "tasks=[{name: a, task: {kind: toy, part: 0}}, {name: b, task: {kind: toy, part: 1}}]"
FOUR = "splits: {weak_train: 9, transfer: 9, search: 9, test: 9}"
PREFERENCES = f"{{kind: dataset, path: x.jsonl, fields: {{prompt: p, chosen: c, rejected: r}}, {FOUR}}}"


def test_the_first_of_several_tasks_stands_for_the_search_s_own() -> None:
    config = loaded("task=null", PAIR)
    assert config.task == config.tasks[0].task == ToyTask(part=0)
    assert list(config.searched) == ["a", "b"]
    there = config.searched["b"]
    assert (there.task, there.strong, there.tasks, there.hidden) == (ToyTask(part=1), config.strong, (), ())
    assert load_config_of(config) == config


def load_config_of(config: RunConfig) -> RunConfig:
    """What a run directory's copy of a config is read as."""
    return changed(config, {"search.coarsen": config.search.coarsen})


def test_a_single_task_has_no_name() -> None:
    config = loaded()
    assert config.searched == {"": config}


def test_models_of_the_first_task_are_those_of_tasks_that_name_none() -> None:
    own = "strong: {model: {kind: toy, size: strong}, optim: {lr: 0.005}}"
    two = f"tasks=[{{name: a, task: {{kind: toy}}, {own}}}, {{name: b, task: {{kind: toy, seed: 2}}}}]"
    config = loaded("task=null", "strong=null", two)
    assert config.strong.optim.lr == config.searched["b"].strong.optim.lr == 0.005


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ((PAIR,), "`task` and `tasks` say two things of the first task: leave one of them out"),
        (
            ("task=null", PAIR, "hidden=[{name: b, task: {kind: toy}}]"),
            "tasks and hidden: two tasks are named 'b'; give each a name of its own",
        ),
        (
            ("task=null", f"tasks=[{{name: a, task: {{kind: toy}}}}, {{name: b, task: {PREFERENCES}}}]"),
            "tasks.1: b has pairs of responses and a single texts: search on tasks of one kind",
        ),
        (("task=null", PAIR, "search.objective=best"), "search.objective: "),
    ],
)
def test_tasks_that_cannot_go_together_are_one_line(overrides: tuple[str, ...], line: str) -> None:
    with pytest.raises(ValueError, match=r"task|objective") as caught:
        loaded(*overrides)
    assert str(caught.value).removeprefix(f"{REPO}/configs/dev.yaml: ").startswith(line)
    assert "\n" not in str(caught.value)


def test_methods_can_count_on_what_all_tasks_offer(config: RunConfig) -> None:
    decoder = LearnerConfig(model=ToyModel(size="strong"), optim=Adamw(lr=5e-3, epochs=1))
    task = SearchedTask(name="b", task=ToyTask(seed=5), strong=decoder)
    both = config.model_copy(update={"tasks": (SearchedTask(name="a", task=config.task), task)})
    assert both.abilities == config.abilities


def test_a_hidden_task_offers_as_much_where_its_models_and_texts_are_alike(config: RunConfig) -> None:
    there = HiddenTask(name="there", task=ToyTask(seed=7))
    assert config.offers_as_much_on(there)
    other = config.strong.model_copy(update={"model": ToyModel(size="weak")})
    assert not config.offers_as_much_on(there.model_copy(update={"strong": other}))
    of_pairs = DatasetTask(path="pairs.jsonl", fields=PairFields(), splits=config.task.splits)
    assert not config.offers_as_much_on(HiddenTask(name="there", task=of_pairs))
