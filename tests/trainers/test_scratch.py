import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainers.scratch import remove_abandoned, scratch_folder, shared_scratch

OWNER = """
import sys
from pathlib import Path
from trainers.scratch import scratch_folder, shared_scratch
with scratch_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, and the folder that it owns."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch_folder(tmp_path) as folder:  # noqa: PT012
        (folder / "a").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_a_living_one_s_stays(
    owner: tuple[subprocess.Popen[str], Path], tmp_path: Path
) -> None:
    process, left = owner
    with scratch_folder(tmp_path) as ours:
        assert left.is_dir()
        with shared_scratch(left):  # a child that outlives its parent
            process.kill()
            process.wait()
            remove_abandoned(tmp_path)
            assert left.is_dir()
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [ours]


def test_a_folder_that_has_no_owner_yet_is_given_time(tmp_path: Path) -> None:
    new, old = tmp_path / "weak-to-strong-new", tmp_path / "weak-to-strong-old"
    new.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    (tmp_path / "somebody-s").mkdir()
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["somebody-s", "weak-to-strong-new"]


def test_a_folder_without_owner_can_be_shared(tmp_path: Path) -> None:
    with shared_scratch(tmp_path):
        assert tmp_path.is_dir()
