import pytest
from pydantic import ValidationError

from search.config.resources import TrialResources
from search.config.schema import RunConfig
from trainers.models.settings import HubModel
from trainers.training.memory.model_size import room_for
from trainers.training.memory.prediction import on_device

GB = 10**9
OPEN = TrialResources(gpus=None)


def test_gpus_that_are_given_stay_as_they_are() -> None:
    for given in (TrialResources(gpus=0.5), TrialResources(gpus=2, memory_gb=70)):
        assert given.on([80 * GB], 5 * GB, may_come=True) == given


def test_open_gpus_hold_as_many_trials_as_the_smallest_gpu_has_memory_for() -> None:
    decided = OPEN.on([80 * GB, 40 * GB], 9 * GB, may_come=False)  # four nines in forty
    assert (decided.gpus, decided.memory_gb) == (0.25, 10)
    assert decided.needs.resources == {"CPU": 1, "GPU": 0.25}


@pytest.mark.parametrize(
    ("gpu_bytes", "trial_bytes", "may_come", "gpus"),
    [
        ([], 9 * GB, False, 0),  # a machine without GPUs
        ([], 9 * GB, True, 1),  # of a GPU that is still to come nothing is known
        ([80 * GB], None, False, 1),  # nor of a model whose settings do not tell its size
        ([80 * GB], 41 * GB, False, 1),
        ([80 * GB], 200 * GB, False, 1),  # in smaller pieces
    ],
)
def test_open_gpus_are_whole_or_none_where_sharing_is_not_known_to_fit(
    gpu_bytes: list[int], trial_bytes: int | None, may_come: bool, gpus: float
) -> None:
    assert OPEN.on(gpu_bytes, trial_bytes, may_come=may_come).gpus == gpus


def test_members_of_a_gang_share_no_gpu() -> None:
    assert TrialResources(gpus=None, processes=2).on([80 * GB], 9 * GB, may_come=False).gpus == 1


def test_memory_that_was_given_is_kept() -> None:
    trial = TrialResources(gpus=None, memory_gb=7)
    assert trial.on([80 * GB], 9 * GB, may_come=False).memory_gb == 7


def test_an_elastic_cluster_must_be_told_its_gpus() -> None:
    with pytest.raises(ValidationError, match="elastic needs gpus"):
        TrialResources(gpus=None, elastic=True, concurrent=4)


def test_what_the_naive_method_needs_is_its_prediction_with_all_margins(config: RunConfig) -> None:
    room = room_for(config.strong.model, config.engine, 80.0, 1)
    assert room is not None
    assert not isinstance(config.strong.model, HubModel)
    naive = config.naive
    needed = room.needed(naive.student, naive.optim.batch_size)
    assert needed > on_device(0) == 2**30  # a process's context
    one_by_one = room.model_copy(update={"engine": room.engine.model_copy(update={"micro_batch": 1})})
    assert one_by_one.needed(naive.student, naive.optim.batch_size) < needed


def test_labels_ask_the_same_of_every_process() -> None:
    assert TrialResources().placement == {}
    asked = TrialResources(labels=("ray.io/accelerator-type=in(H100,H200)", "zone=a"), processes=2)
    selector = {"ray.io/accelerator-type": "in(H100,H200)", "zone": "a"}
    assert asked.placement == {"bundle_label_selector": [selector, selector]}
    with pytest.raises(ValidationError):
        TrialResources(labels=("H100",))
