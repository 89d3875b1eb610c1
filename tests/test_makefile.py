"""The Makefile's install, with a real pip and a project that needs nothing from the network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = """
[project]
name = "tiny"
version = "1"
[project.optional-dependencies]
test = []
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build backend in one file: it makes the wheel of an editable install, and counts how often.
BACKEND = """
import zipfile
INFO = "tiny-1.dist-info"

def build_editable(folder, settings=None, prepared=None):
    with open("built", "a") as built:
        built.write("x")
    with zipfile.ZipFile(f"{folder}/tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        metadata = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: test\\n"
        wheel.writestr(f"{INFO}/METADATA", metadata)
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "tiny-1-py3-none-any.whl"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "constraints.txt").touch()
    return tmp_path


def installed(project: Path) -> int:
    """make install; how often the package was built so far."""
    done = subprocess.run(
        ["make", "install", f"PYTHON={sys.executable}"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = subprocess.run(
        [project / ".venv/bin/python", "-c", "import tiny"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return len((project / "built").read_text())


@pytest.mark.slow
def test_an_interrupted_install_is_taken_up(project: Path) -> None:
    site = (
        project / ".venv/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    )
    # interrupted while the environment was made: a Python without pip
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    assert installed(project) == 1
    assert installed(project) == 1  # nothing to do
    # interrupted within pip: what is there of a package says that all of it is
    (project / ".venv/.installed").unlink()
    (project / ".venv/.installing").touch()
    (site / "tiny.py").unlink()
    half = site / "half-1.dist-info"
    half.mkdir()
    assert installed(project) == 2
    assert not half.exists()
    # the Python that the environment was made with is gone
    (project / ".venv/bin/python").unlink()
    (project / ".venv/bin/python").symlink_to("/nowhere/python")
    assert installed(project) == 3
    # only the list of packages has changed
    (project / "constraints.txt").write_text("# newer\n")
    (project / ".venv/kept").touch()
    assert installed(project) == 4
    assert (project / ".venv/kept").exists()
