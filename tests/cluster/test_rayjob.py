"""The RayJob for a queue of Kueue: valid, of a fixed size, and the rest as it was."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from cluster.rayjob import MANIFEST, QUEUE, main, queued

SCHEMA = json.loads((Path(__file__).parent / "kuberay_schema.json").read_text())


def test_the_queue_is_a_label_and_the_cluster_has_a_fixed_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--queue", "team-a"]) == 0
    job = yaml.safe_load(capsys.readouterr().out)
    jsonschema.validate(job, SCHEMA)
    assert job["metadata"]["labels"] == {QUEUE: "team-a"}
    assert job["spec"]["suspend"] is True  # until it is admitted
    assert job["spec"]["shutdownAfterJobFinishes"] is True  # or its quota would never be free again
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is False
    [group] = cluster["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 8


def test_nothing_else_changes() -> None:
    before = yaml.safe_load(MANIFEST.read_text())
    kept = copy.deepcopy(before)
    job = queued(before, "team-a")
    assert before == kept
    for changed in (job, kept):
        changed["metadata"].pop("labels", None)
        changed["spec"].pop("suspend", None)
        for key in ("enableInTreeAutoscaling", "autoscalerOptions"):
            changed["spec"]["rayClusterSpec"].pop(key, None)
        for group in changed["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
            group["replicas"] = group["minReplicas"] = 0
    assert job == kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--queue", "Team A"], "error: --queue Team A: must be the name of a LocalQueue"),
        (["--queue", "a", "--manifest", "nowhere.yaml"], "No such file"),
        (["--queue", "a", "--manifest", str(MANIFEST.with_name("raycluster.yaml"))], "holds no RayJob"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert said in error
    assert error.count("\n") == 1
