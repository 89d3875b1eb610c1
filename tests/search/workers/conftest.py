from collections.abc import Iterator

import pytest

from cluster.runtime import ray_runtime
from tests.small_runs.settings import ONE_CPU


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    """Ray on one CPU: what runs there asks for none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*ONE_CPU)
        with ray_runtime():
            yield
