"""The benchmark of repairs' seconds and memory, on few examples."""

from benchmarks.training.repair_speed import REPAIRS, clouds, report
from trainers.components.repairs import REPAIRS as ALL
from trainers.components.repairs import NoRepair


def test_every_repair_is_measured() -> None:
    assert {type(config) for config in REPAIRS.values()} == set(ALL) - {NoRepair}


def test_labels_of_the_clouds_are_wrong_for_three_of_ten() -> None:
    evidence, truth = clouds(20_000, 2)
    # A standard error of .0032; four of them.
    assert abs(((evidence.weak_probs > 0.5) == truth).mean() - 0.7) < 0.013


def test_a_measurement_has_seconds_memory_and_accuracy() -> None:
    found = report(["mean_difference"], [400], 8)["mean_difference"]["400"]
    assert found["seconds"] >= 0
    assert 0 <= found["gb"] < found["whole_gb"] < 4
    assert found["right"] > 0.5
