import hashlib
from pathlib import Path

import numpy as np
import pytest

from trainers.cache import check_writable, digest, load_arrays, save_arrays


def test_a_digest_is_the_sha_of_its_parts_in_json_each_ended_by_a_zero() -> None:
    expected = hashlib.sha256(b'{"a": 1, "b": [2, null]}\x00"x"\x00raw\x00').hexdigest()[:32]
    assert digest({"b": [2, None], "a": 1}, "x", b"raw") == expected


def test_parts_do_not_run_into_each_other() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert digest() != digest("")


def test_an_array_counts_by_type_shape_and_values_whatever_its_layout() -> None:
    values = np.arange(6, dtype=np.int64)
    assert digest(values) == digest(values.copy())
    assert digest(values.reshape(2, 3).T) == digest(np.array([[0, 3], [1, 4], [2, 5]]))
    others = [values.astype(np.int32), values.reshape(2, 3), values[::-1], values + 1]
    assert len({digest(array) for array in [values, *others]}) == 5


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    stored = {"search": np.array([0.25, 1.0], dtype=np.float32), "test": np.zeros((2, 0), dtype=np.int8)}
    save_arrays(tmp_path / "deep" / "a.npz", stored)
    found = load_arrays(tmp_path / "deep" / "a.npz")
    assert found is not None
    assert {name: (array.dtype, array.tolist()) for name, array in found.items()} == {
        name: (array.dtype, array.tolist()) for name, array in stored.items()
    }


@pytest.mark.parametrize("left", [None, 0, 30, -10])
def test_what_is_not_there_or_damaged_counts_as_not_cached(tmp_path: Path, left: int | None) -> None:
    path = tmp_path / "a.npz"
    if left is not None:
        save_arrays(path, {"a": np.arange(100)})
        path.write_bytes(path.read_bytes()[:left])
    assert load_arrays(path) is None


def test_a_flipped_byte_counts_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.full(100, 7)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert load_arrays(path) is None


def test_a_file_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"pickled": True}], dtype=object), allow_pickle=True)
    assert load_arrays(tmp_path / "a.npy") is None


def test_a_save_that_fails_leaves_the_old_arrays_and_nothing_else(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", {"a": np.arange(3)})
    with pytest.raises(TypeError, match="pickle"):
        save_arrays(tmp_path / "a.npz", {"a": np.arange(4), "b": np.array([(_ for _ in ())], dtype=object)})
    found = load_arrays(tmp_path / "a.npz")
    assert found is not None
    assert found["a"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_cache_that_cannot_be_written_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        ValueError, match=r"^cache '.*file/cache' cannot be written \(Not a directory\): set `cache`"
    ):
        check_writable(file / "cache")
    with pytest.raises(ValueError, match="cannot be written"):
        check_writable(Path("/proc/cache"))
    check_writable(tmp_path / "new" / "cache")
    assert list((tmp_path / "new" / "cache").iterdir()) == []
