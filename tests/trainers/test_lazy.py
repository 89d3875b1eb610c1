import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from trainers import lazy
from trainers.lazy import LazyModule


def test_a_module_is_imported_at_the_first_use_of_an_attribute() -> None:
    code = """
import sys
from trainers.lazy import LazyModule
colours = LazyModule("colorsys")
assert "colorsys" not in sys.modules
assert colours.rgb_to_hsv(1, 0, 0) == (0, 1, 1)
assert "colorsys" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_process_ends_without_a_look_for_garbage_in_what_it_imported() -> None:
    code = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 1000))  # called last
import trainers.lazy
assert gc.get_freeze_count() == 0
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"


def test_what_it_gives_is_what_the_module_has() -> None:
    stands = LazyModule("torch")
    assert stands.Tensor is torch.Tensor
    assert stands.nn.Linear is torch.nn.Linear
    assert not isinstance(stands, type(torch))


def test_a_patched_module_shows_through(monkeypatch: pytest.MonkeyPatch) -> None:
    stands = LazyModule("math")
    assert stands.floor(1.5) == 1
    monkeypatch.setattr("math.floor", lambda value: "patched")
    assert stands.floor(1.5) == "patched"


def test_an_attribute_that_the_module_lacks_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'math' has no attribute 'tensor'"):
        _ = LazyModule("math").tensor


def test_a_module_that_is_not_installed_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        _ = LazyModule("no_such_library").anything


def test_it_goes_to_another_process_by_name() -> None:
    back = pickle.loads(pickle.dumps(LazyModule("math")))
    assert isinstance(back, LazyModule)
    assert repr(back) == "LazyModule('math')"
    assert back.sqrt(4) == 2


def test_every_library_is_what_its_name_says() -> None:
    stands = SimpleNamespace(**{name: one for name, one in vars(lazy).items() if isinstance(one, LazyModule)})
    assert stands.torch.softmax is torch.softmax
    assert stands.nn.Module is torch.nn.Module
    assert stands.special.expit(0.0) == 0.5
    assert stands.linalg.cho_factor([[4.0]])[0] == [[2.0]]
    assert stands.optimize.minimize
    assert stands.peft.LoraConfig
    assert stands.pytorch_utils.Conv1D
    assert stands.sparse.eye_array(3).nnz == 3
    assert stands.sparse.linalg.cg
    assert len(vars(stands)) == 8
