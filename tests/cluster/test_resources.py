import pytest

from cluster.resources import (
    Capacity,
    Needs,
    NodeGroup,
    capacity,
    decide,
    gpu_share,
    open_share,
    placement,
    trials_a_gpu,
    trials_that_fit,
)

GPU_NODE = {"CPU": 8, "GPU": 1}
HEAD = {"CPU": 4}
NEEDS = {"CPU": 4, "GPU": 1}


@pytest.mark.parametrize(
    ("needs", "nodes", "fit"),
    [
        ({"CPU": 1}, [{"CPU": 4}], 4),
        ({"CPU": 3}, [{"CPU": 4}, {"CPU": 8}], 1 + 2),  # a trial does not span nodes
        ({"CPU": 1, "GPU": 1}, [{"CPU": 64, "GPU": 8}, {"CPU": 4}], 8),
        ({"CPU": 16, "GPU": 1}, [{"CPU": 64, "GPU": 8}], 4),
        ({"CPU": 1, "GPU": 0.25}, [{"CPU": 64, "GPU": 2}], 8),
        ({"CPU": 1, "GPU": 0.6}, [{"CPU": 64, "GPU": 2}], 2),  # a share is of one GPU
        ({"CPU": 1, "GPU": 2}, [{"CPU": 64, "GPU": 3}], 1),
        ({"CPU": 1, "GPU": 0}, [{"CPU": 2}], 2),  # no GPU needed, none asked for
        ({"CPU": 1, "GPU": 1}, [{"CPU": 2}], 0),
        ({"CPU": 1, "memory": 30e9}, [{"CPU": 8, "memory": 64e9}], 2),
        ({"CPU": 0.1}, [{"CPU": 0.3}], 3),  # 0.3 / 0.1 is a little less than 3 in floating point
        ({"CPU": 0.1}, [{"CPU": 1}], 10),
        ({"CPU": 2}, [], 0),
    ],
)
def test_trials_that_fit(needs: dict[str, float], nodes: list[dict[str, float]], fit: int) -> None:
    assert trials_that_fit(needs, nodes) == fit


def test_placement_names_the_nodes_that_hold_trials() -> None:
    nodes = {"head": HEAD, "one": GPU_NODE, "big": {"CPU": 64, "GPU": 8}, "starved": {"CPU": 4, "GPU": 8}}
    assert placement(NEEDS, nodes) == {"one": 1, "big": 8, "starved": 1}


@pytest.mark.parametrize(
    ("nodes", "groups", "now", "grown"),
    [
        ([GPU_NODE], [], 1, 1),  # nothing to grow with
        ([HEAD], [(GPU_NODE, 3)], 0, 3),
        ([HEAD, GPU_NODE], [(GPU_NODE, 3)], 1, 3),  # the node that is there is one of the three
        ([HEAD, GPU_NODE, {"CPU": 64, "GPU": 8}], [(GPU_NODE, 3)], 9, 11),  # eight on the fixed node
        ([HEAD], [(GPU_NODE, 2), ({"CPU": 64, "GPU": 8}, 1)], 0, 10),
        ([HEAD], [(GPU_NODE, None)], 0, None),
        ([HEAD], [({"CPU": 32}, None)], 0, 0),  # it can grow for ever, but not with what is needed
        ([HEAD], [(GPU_NODE, 0)], 0, 0),
        ([GPU_NODE, GPU_NODE], [(GPU_NODE, 1)], 2, 2),  # one more is there than the group may have
    ],
)
def test_capacity_now_and_grown(
    nodes: list[dict[str, float]],
    groups: list[tuple[dict[str, float], int | None]],
    now: int,
    grown: int | None,
) -> None:
    made = [NodeGroup(resources=amounts, at_most=at_most) for amounts, at_most in groups]
    assert capacity(NEEDS, nodes, made) == Capacity(now=now, grown=grown)


@pytest.mark.parametrize(
    ("now", "grown", "at_most", "trials"),
    [
        (2, 2, None, 2),
        (2, 2, 1, 1),
        (0, 8, None, 8),
        (0, 100, None, 20),  # growing stops at a round
        (0, None, None, 20),
        (50, 100, None, 50),  # what is there is used
        (0, 100, 64, 20),
        (0, 8, 3, 3),
    ],
)
def test_how_many_at_once(now: int, grown: int | None, at_most: int | None, trials: int) -> None:
    size = Capacity(now=now, grown=grown)
    assert decide(Needs(cpus=1, gpus=0), size, at_most, a_round=20) == trials


@pytest.mark.parametrize(("trial", "gpu", "together"), [(20, 80, 4), (27, 80, 2), (41, 80, 1), (81, 80, 0)])
def test_trials_a_gpu(trial: int, gpu: int, together: int) -> None:
    assert trials_a_gpu(trial * 10**9, gpu * 10**9) == together


def test_a_share_holds_as_many_trials_as_memory_does() -> None:
    assert gpu_share(26 * 10**9, 80 * 10**9) == 0.3333
    assert trials_that_fit({"GPU": 0.3333}, [{"GPU": 2}]) == 6
    assert gpu_share(41 * 10**9, 80 * 10**9) == 1
    assert gpu_share(81 * 10**9, 80 * 10**9) == 1  # its batch comes in smaller pieces


def test_an_open_share_is_decided_by_the_smallest_gpu_there_is() -> None:
    assert open_share([80, 40, 80], 20, may_come=False) == 0.5
    assert open_share([80, 40], None, may_come=False) == 1
    assert open_share([], 20, may_come=True) == 1
    assert open_share([], 20, may_come=False) == 0
