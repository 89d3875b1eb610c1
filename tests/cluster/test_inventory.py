from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import yaml

from cluster import inventory
from cluster.access import with_token
from cluster.inventory import gpu_memories, gpus_may_come, groups_of_ray_up, node_groups, trials_at_once
from cluster.resources import Needs, NodeGroup

RAY_UP = {
    "max_workers": 10,
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 4}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 4},
        "cpu": {"resources": {"CPU": 32}},
    },
}


def test_groups_of_a_cluster_of_ray_up() -> None:
    assert groups_of_ray_up(RAY_UP) == [
        NodeGroup(resources={"CPU": 8, "GPU": 1}, at_most=4),
        NodeGroup(resources={"CPU": 32}, at_most=10),
    ]


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, with_token():
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def at_once(cpus: float, gpus: float, at_most: int | None, **more: bool) -> int:
    needs = Needs(cpus=cpus, gpus=gpus)
    return trials_at_once(needs, at_most=at_most, a_round=20, elastic=more.get("elastic", False))


@pytest.mark.slow
@pytest.mark.usefixtures("two_cpus")
@pytest.mark.parametrize(
    ("cpus", "at_most", "trials"), [(1, None, 2), (0.5, None, 4), (2, None, 1), (1, 1, 1), (1, 5, 2)]
)
def test_as_many_as_fit_and_no_more_than_wanted(cpus: float, at_most: int | None, trials: int) -> None:
    assert at_once(cpus, 0, at_most) == trials


@pytest.mark.slow
@pytest.mark.usefixtures("two_cpus")
@pytest.mark.parametrize(("cpus", "gpus"), [(3, 0), (1, 1)])
def test_a_trial_that_fits_nowhere_is_told_in_one_line(cpus: float, gpus: float) -> None:
    with pytest.raises(ValueError, match=f"trial.cpus {cpus}, trial.gpus {gpus} fit on no node") as caught:
        at_once(cpus, gpus, None)
    assert "the largest has 2 CPUs, 0 GPUs, " in str(caught.value)
    assert "lower the needs, add a node" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("two_cpus")
def test_memory_that_no_node_has_is_an_error() -> None:
    needs = Needs(cpus=1, gpus=0, memory=1e15)
    with pytest.raises(ValueError, match=r"trial\.host_memory_gb 1e"):
        trials_at_once(needs, at_most=None, a_round=20, elastic=False)


@pytest.mark.slow
@pytest.mark.usefixtures("two_cpus")
def test_an_elastic_cluster_is_believed() -> None:
    assert at_once(3, 1, 6, elastic=True) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("two_cpus")
def test_a_cluster_of_ray_up_is_asked_for_what_it_can_grow_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node_groups() == []
    assert not gpus_may_come()
    assert gpu_memories(1, lambda: None) == []
    (tmp_path / "bootstrap.yaml").write_text(yaml.safe_dump(RAY_UP))
    monkeypatch.setattr(inventory, "BOOTSTRAP", tmp_path / "bootstrap.yaml")
    assert gpus_may_come()
    assert at_once(4, 1, None) == 4  # the four GPU nodes, none of which is there yet
    assert at_once(1, 0, None) == 20
    with pytest.raises(ValueError, match="fit on no node, and no node that would hold them can be started"):
        at_once(1, 2, None)
