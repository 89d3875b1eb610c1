from collections.abc import Iterator

import pytest
import ray

from cluster.resources import trials_at_once, trials_that_fit


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
        ({"CPU": 0.1}, [{"CPU": 0.3}], 3),  # 0.3 / 0.1 is a little less than 3 in floating point
        ({"CPU": 0.1}, [{"CPU": 1}], 10),
        ({"CPU": 2}, [], 0),
    ],
)
def test_trials_that_fit(needs: dict[str, float], nodes: list[dict[str, float]], fit: int) -> None:
    assert trials_that_fit(needs, nodes) == fit


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.mark.usefixtures("two_cpus")
@pytest.mark.parametrize(
    ("cpus", "at_most", "trials"), [(1, None, 2), (0.5, None, 4), (2, None, 1), (1, 1, 1), (1, 5, 2)]
)
def test_as_many_as_fit_and_no_more_than_wanted(cpus: float, at_most: int | None, trials: int) -> None:
    assert trials_at_once(cpus, 0, at_most) == trials


@pytest.mark.usefixtures("two_cpus")
@pytest.mark.parametrize(("cpus", "gpus"), [(3, 0), (1, 1)])
def test_a_trial_that_fits_nowhere_is_told_in_one_line(cpus: float, gpus: float) -> None:
    with pytest.raises(ValueError, match=f"trial.cpus {cpus} and trial.gpus {gpus} fit on no node") as caught:
        trials_at_once(cpus, gpus, None)
    assert "the largest has 2 CPUs and 0 GPUs; lower the needs or add a node" in str(caught.value)
    assert "\n" not in str(caught.value)
