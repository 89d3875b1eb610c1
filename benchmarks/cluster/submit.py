"""A campaign as a Ray job on a cluster of several nodes of this machine, while nodes are killed.

python -m benchmarks.cluster.submit [--kills 2]

Prints the size of what is sent, the seconds from submission to the first trial, the trials lost to killed
nodes, and how long a fresh machine takes to pull the run from a loopback S3 server.
"""

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package
from ray.cluster_utils import Cluster

from cluster import jobs
from cluster.access import with_token
from cluster.commit import commit
from search.cli.output import stdout_for_json, write_json
from search.ledger.events import AnyEvent
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.storage.mirror import Mirror
from search.storage.object_store import snapshot
from tests.servers.s3 import s3_server

ROOT = Path(__file__).parents[2]
SETTINGS = [
    "task.splits={weak_train: 300, transfer: 300, search: 300, test: 400}",
    "weak.optim={lr: 0.01, epochs: 3, batch_size: 32}",
    "strong.model.pretrain_steps=250",
    "strong.optim={lr: 0.002, epochs: 2, batch_size: 32}",
    "baselines.seeds=2",
    "search.trials=16",
    "search.round_trials=8",
    "confirm={finalists: 2, seeds: 2}",
]


@stdout_for_json()
def main() -> None:
    """Run it all and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=2, help="nodes that are killed, each followed by another"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        figures = sent(scratch) | campaign(scratch, options.kills) | pulled(scratch)
    write_json(figures, indent=2)


def sent(scratch: Path) -> dict[str, float]:
    """The working directory as Ray packs it."""
    package = scratch / "package.zip"
    create_package(str(ROOT), package, include_gitignore=True, excludes=get_runtime_env_default_excludes())
    return {"sent_kb": round(package.stat().st_size / 1000, 1)}


def campaign(scratch: Path, kills: int) -> dict[str, float]:
    """Submit, kill nodes as trials end, wait for the outcome."""
    out = scratch / "run"
    with nodes() as cluster:
        client = jobs.connect(f"http://{cluster.webui_url}")
        env = jobs.runtime_env(ROOT, commit())
        settings = [*SETTINGS, f"cache={scratch / 'cache'}"]
        entry = jobs.entry_point(Path("configs/dev.yaml"), settings, str(out))
        started = time.time()
        job = jobs.submit(client, name="benchmark", entrypoint=entry, env=env)
        with ThreadPoolExecutor(1) as pool:  # nodes can be started from the main thread only
            followed = pool.submit(jobs.follow, client, job, sys.stderr.write)
            kill(cluster, out / "ledger.jsonl", kills)
            code = followed.result()
    events = read_ledger(out / "ledger.jsonl")
    first = next(event.at for event in events if event.event == "trial_started")
    ready = next(event.at for event in events if event.event == "baselines_ready")
    trials = Record.of(events).trials.values()
    return {
        "exit_code": code,
        "submit_to_first_trial_s": round(first - started, 1),
        "of_which_after_the_baselines_s": round(first - ready, 1),
        "nodes_killed": kills,
        "trials": len(trials),
        "trials_started_again": started_again(events),
        "trials_lost": sum(trial.state is None for trial in trials),
        "trials_failed": sum(trial.state == "failed" for trial in trials),
    }


def started_again(events: Iterable[AnyEvent]) -> int:
    """How often a trial was started again because its worker was lost, not after a pause."""
    at_work: set[str] = set()
    count = 0
    for event in events:
        if event.event == "trial_started":
            count += event.trial in at_work
            at_work.add(event.trial)
        elif event.event in ("trial_paused", "trial_ended"):
            at_work.discard(event.trial)
    return count


def kill(cluster: Cluster, ledger: Path, kills: int) -> None:
    """Kill a node after every third trial that has ended, and start another in its place."""
    for count in range(kills):
        while not ledger.is_file() or ledger.read_text().count("trial_ended") < 3 * (count + 1):
            time.sleep(0.1)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        start(cluster, f"late-{count}")


def pulled(scratch: Path) -> dict[str, float]:
    """Mirror the finished run to S3 and pull it as a fresh machine does."""
    with s3_server() as (endpoint, store):
        os.environ.update(
            AWS_ENDPOINT_URL=endpoint,
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_EC2_METADATA_DISABLED="true",
        )
        url = "s3://bucket/run?region=us-east-1"
        began = time.perf_counter()
        pushing = Mirror(url, scratch / "run")
        pushing.take_over()
        pushing.sync(released=True)
        pushed = time.perf_counter()
        with snapshot(url) as copy:
            took = time.perf_counter() - pushed
            same = (copy / "ledger.jsonl").read_bytes() == (scratch / "run/ledger.jsonl").read_bytes()
    return {
        "s3_push_s": round(pushed - began, 2),
        "s3_pull_s": round(took, 2),
        "s3_kb": round(sum(map(len, store.objects.values())) / 1000, 1),
        "s3_same_ledger": same,
    }


@contextlib.contextmanager
def nodes() -> Iterator[Cluster]:
    """A head without CPUs, with a job server, and two nodes of one CPU."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    head = {
        "num_cpus": 0,
        "include_dashboard": True,
        "dashboard_port": ports[0],
        "dashboard_agent_listen_port": ports[1],
    }
    with with_token():
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for number in range(2):
                start(cluster, str(number))
            yield cluster
        finally:
            cluster.shutdown()


def start(cluster: Cluster, name: str) -> None:
    """One node, which unpacks code in a directory of its own as on another machine."""
    cluster.add_node(num_cpus=1, runtime_env_dir_name=f"runtime_resources_{name}")


if __name__ == "__main__":
    main()
