"""Plants faults in the trials of a run, from outside: Python imports a module of this name at its start.

With this folder on PYTHONPATH and PLANTED_FAULTS naming a folder of files, the first step of a training takes
one file away and does what it is named for: hang, oom, nan, raise, kill or device, after which every step of
the process fails (anything after a dash in a name tells files apart). A file called kill-always stays where
it is. A file called setup is taken by a worker that starts, which then never becomes ready.
"""

import importlib.abc
import importlib.util
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = os.environ.get("PLANTED_FAULTS")
STEP = 0  # a training that goes on from a checkpoint has it behind it


def claimed(folder: Path, *, at_setup: bool = False) -> str | None:
    """The kind of the first fault in the folder, which is this process's alone from now on."""
    for file in sorted(folder.iterdir()):
        if (file.name.partition("-")[0] == "setup") != at_setup:
            continue
        if file.name == "kill-always":
            return "kill"
        try:
            file.rename(folder.parent / f"{folder.name}-done-{file.name}")
        except FileNotFoundError:
            continue
        return file.name.partition("-")[0]
    return None


def plant(module: ModuleType) -> None:
    """Have `trainers.training.session.Session.step` look for a fault first."""
    import torch

    step, accumulate = module.Session.step, module.Session._accumulate
    device_is_broken = False

    def faulty_step(self: Any, batch: Any, lr: float) -> Any:
        nonlocal device_is_broken
        fault = claimed(Path(str(FOLDER))) if batch.step == STEP else None
        device_is_broken = device_is_broken or fault == "device"
        if device_is_broken:
            raise torch.AcceleratorError("CUDA error: planted")
        match fault:
            case "hang":
                time.sleep(1e6)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise RuntimeError("a planted error")
            case "nan":
                self._parameters[0].data.fill_(math.nan)
            case "oom":
                self.out_of_memory = True
        return step(self, batch, lr)

    def faulty_accumulate(self: Any, batch: Any) -> Any:
        if getattr(self, "out_of_memory", False):
            raise torch.OutOfMemoryError("planted")
        return accumulate(self, batch)

    module.Session.step, module.Session._accumulate = faulty_step, faulty_accumulate


def plant_at_setup(module: ModuleType) -> None:
    """Have `search.workers.member.Member` look for a fault before anything else."""
    prepare = module.Member.__init__

    def faulty_prepare(self: Any, work: Any) -> None:
        if claimed(Path(str(FOLDER)), at_setup=True):
            time.sleep(1e6)
        prepare(self, work)

    module.Member.__init__ = faulty_prepare


PLANTERS = {"trainers.training.session": plant, "search.workers.member": plant_at_setup}


class _Planter(importlib.abc.MetaPathFinder):
    """Plants when a module of PLANTERS is imported, and causes no import of its own."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in PLANTERS:
            return None
        plant_in = PLANTERS.pop(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_plant(module: ModuleType) -> None:
            load(module)
            plant_in(module)

        spec.loader.exec_module = load_and_plant  # type: ignore[method-assign]  # the fault
        return spec


if FOLDER:
    sys.meta_path.insert(0, _Planter())
