"""Branches and methods of a config."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from search.config.load import dump_config, load_config
from search.config.own import OwnMethod, branches_of, resolved
from search.config.schema import RunConfig
from trainers.components.losses import Gce, LogConf
from trainers.components.optim import Adamw
from trainers.method import Method

REPO = Path(__file__).parents[3]
DEV = REPO / "configs/dev.yaml"
NAIVE = Method(optim=Adamw(lr=1e-3, epochs=4))


def config(*settings: str) -> RunConfig:
    return load_config(DEV, settings)


def test_a_record_differs_from_naive_in_what_it_says() -> None:
    own = OwnMethod(name="mine", slots={"loss": {"kind": "gce", "q": 0.5}, "optim": {"epochs": 2}})
    method = resolved(own, NAIVE)
    assert method.loss == Gce(q=0.5)
    assert method.optim == Adamw(lr=1e-3, epochs=2)  # the rest of the optimizer is naive's
    (branch,) = branches_of((own,), NAIVE)
    assert (branch.name, branch.family) == ("mine", "other")


def test_a_name_is_the_playbook_s() -> None:
    assert resolved(OwnMethod(name="confidence-loss", slots={}), NAIVE).loss == LogConf()


@pytest.mark.parametrize(
    ("methods", "line"),
    [
        ("[x]", "methods: no method is called 'x'; did you mean"),
        ("[{name: a, lossy: {kind: gce}}]", "methods: a: there is no slot 'lossy'; the slots are labels"),
        (
            "[{name: a, loss: {kind: gce, q: 4}}]",
            "methods: a: loss.gce.q: Input should be less than or equal",
        ),
        ("[naive]", "methods: name at least one method besides naive"),
        ("[{loss: {kind: gce}}]", "methods.0.name is missing"),
    ],
)
def test_a_method_that_cannot_be(methods: str, line: str) -> None:
    with pytest.raises(ValueError, match="^[^:]*dev.yaml: " + line.replace("[", r"\[")) as error:
        config(f"methods={methods}")
    assert "\n" not in str(error.value)


def test_a_run_of_methods_searches_nothing_and_confirms_them_all() -> None:
    run = config("methods=[naive, confidence-loss, label-propagation]", "replication.seeds=1")
    assert (run.search.trials, run.search.round_trials, run.search.effort) == (2, 2, 1)
    assert run.search.pruning.rungs == (1.0,)
    assert (run.replication.methods, run.replication.seeds) == (2, 1)
    assert run.confirm.finalists == 2
    assert [branch.name for branch in run.own_branches] == ["confidence-loss", "label-propagation"]


def test_it_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    written = tmp_path / "config.yaml"
    run = config("methods=[confidence-loss, {name: mine, loss: {kind: gce}}]")
    written.write_text(dump_config(run))
    assert load_config(written) == run
    assert load_config(written).sha256 == run.sha256


def test_a_config_needs_no_search_beside_its_methods(tmp_path: Path) -> None:
    settings: dict[str, Any] = yaml.safe_load(DEV.read_text())
    del settings["search"], settings["replication"]
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(settings | {"methods": ["confidence-loss"]}))
    run = load_config(path)
    assert (run.search.trials, run.replication.seeds) == (1, 1)


def test_what_a_branch_says_nothing_of_has_a_default_in_a_config(tmp_path: Path) -> None:
    file = tmp_path / "branch.yaml"
    file.write_text("{name: Mine, slots: [{slot: loss, options: [{component: gce}]}]}")
    more = tmp_path / "more.json"
    more.write_text('{"branches": [{"name": "other", "family": "loss", "slots": []}], "rationale": ""}')
    run = load_config(DEV, [], [file, more])
    assert [(branch.name, branch.family) for branch in run.branches] == [("mine", "other"), ("other", "loss")]
    assert run.branches[0].slots[0].options[0].params == ()


def test_branches_and_methods_are_two_ways() -> None:
    with pytest.raises(ValueError, match="branches are searched and methods are not"):
        config("methods=[confidence-loss]", "branches=[{name: a, slots: []}]")


def test_a_branch_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("7")
    with pytest.raises(ValueError, match=r"a.yaml: must hold a branch or a list of branches, got int$"):
        load_config(DEV, [], [tmp_path / "a.yaml"])
    with pytest.raises(ValueError, match=r"b.yaml: there is no such file; name a file with a branch"):
        load_config(DEV, [], [tmp_path / "b.yaml"])
    (tmp_path / "c.yaml").write_text("{name: a, slots: [{slot: loss, options: [{component: gce, q: 1}]}]}")
    with pytest.raises(ValueError, match=r"branches.0.slots.0.options.0.q is not a setting"):
        load_config(DEV, [], [tmp_path / "c.yaml"])
