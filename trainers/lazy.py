"""Libraries that take seconds to import, loaded at their first use.

A component's settings stand next to the function that does the work, but reading a config, a ledger or a
proposal needs the settings only. So these files write `from trainers.lazy import torch`. They begin with
`from __future__ import annotations`, and use the library in no decorator, base class, default or type alias.
"""

import atexit
import gc
import importlib
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Importing these libraries makes objects that stay: at Python's threshold of 700, looking through them for
# garbage again and again is a good part of a start.
gc.set_threshold(50_000, 10, 10)
# Looking through them once more when a process ends takes another second.
atexit.register(gc.freeze)


class LazyModule:
    """A proxy that imports its module at the first access to an attribute.

    It has no entry in sys.modules and stores no attributes, so a patched module is visible through it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _module(self) -> ModuleType:
        return importlib.import_module(self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module, attribute)

    def __reduce__(self) -> tuple[type["LazyModule"], tuple[str]]:
        return LazyModule, (self._name,)

    def __repr__(self) -> str:
        return f"LazyModule({self._name!r})"


if TYPE_CHECKING:
    import peft as peft
    import torch as torch
    from scipy import linalg as linalg
    from scipy import optimize as optimize
    from scipy import sparse as sparse
    from scipy import special as special
    from torch import nn as nn
    from transformers import pytorch_utils as pytorch_utils
else:
    linalg = LazyModule("scipy.linalg")
    nn = LazyModule("torch.nn")
    optimize = LazyModule("scipy.optimize")
    peft = LazyModule("peft")
    pytorch_utils = LazyModule("transformers.pytorch_utils")
    sparse = LazyModule("scipy.sparse")
    special = LazyModule("scipy.special")
    torch = LazyModule("torch")
