import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from cluster.access import with_token
from tests.servers.ports import free_port


def add_node(cluster: Cluster, name: str) -> None:
    """One more node of one CPU.

    It unpacks a job's code in a directory of its own, as a node on another machine does: one that it shared
    with the head it would replace under the driver's feet.
    """
    cluster.add_node(num_cpus=1, runtime_env_dir_name=f"runtime_resources_{name}")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without CPUs and with a job server, and two nodes of one CPU: processes of their own each."""
    with pytest.MonkeyPatch.context() as patch, with_token():
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("RAY_ADDRESS", raising=False)
        # A job's `python` is the cluster's, found on the path of its nodes.
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        nodes = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "no_monitor": True,
                "include_log_monitor": False,
                "include_dashboard": True,
                "dashboard_port": free_port(),
                "dashboard_agent_listen_port": free_port(),
            },
        )
        for number in range(2):
            add_node(nodes, f"node-{number}")
        yield nodes
        nodes.shutdown()


@pytest.fixture
def address(cluster: Cluster) -> str:
    """The job server."""
    return f"http://{cluster.webui_url}"
