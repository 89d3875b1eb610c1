from collections.abc import Iterator

import pytest

from cluster.runtime import ray_runtime


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    with ray_runtime():
        yield
