"""The RayJob manifest for a cluster with Kueue: python -m cluster.rayjob --queue QUEUE | kubectl apply -f -

Kueue admits a job to a queue once there is quota for all of its pods. It counts them before they start, so
the cluster cannot grow and shrink by itself: every worker group has as many pods as it may have at most.
"""

import argparse
import copy
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

MANIFEST = Path(__file__).parent / "manifests" / "rayjob.yaml"
QUEUE = "kueue.x-k8s.io/queue-name"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")  # the name of a queue, which is a label's value


def queued(job: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """A RayJob as Kueue takes it: with the queue's label, suspended until it is admitted, of a fixed size.

    Raises ValueError if the queue's name is none that Kubernetes takes.
    """
    if not LABEL.fullmatch(queue):
        raise ValueError(
            f"--queue {queue}: must be the name of a LocalQueue, of lower-case letters, digits, - and ."
        )
    found: dict[str, Any] = copy.deepcopy(dict(job))
    found["metadata"].setdefault("labels", {})[QUEUE] = queue
    found["spec"]["suspend"] = True
    cluster = found["spec"]["rayClusterSpec"]
    cluster["enableInTreeAutoscaling"] = False
    cluster.pop("autoscalerOptions", None)
    for group in cluster["workerGroupSpecs"]:
        group["replicas"] = group["minReplicas"] = group["maxReplicas"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the manifest. The exit code: 2 for a mistake in the input."""
    parser = argparse.ArgumentParser(description="Print cluster/manifests/rayjob.yaml for a queue of Kueue.")
    parser.add_argument("--queue", required=True, help="the LocalQueue, in the namespace of the job")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help="a RayJob of your own")
    options = parser.parse_args(arguments)
    try:
        job = yaml.safe_load(options.manifest.read_text())
        if not isinstance(job, dict) or job.get("kind") != "RayJob":
            raise ValueError(
                f"--manifest {options.manifest}: holds no RayJob; copy {MANIFEST} and edit the copy"
            )
        sys.stdout.write(yaml.safe_dump(queued(job, options.queue), sort_keys=False))
    except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
