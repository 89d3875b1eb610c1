import os
from pathlib import Path

from trainers.models.settings import HubModel, ToyModel
from trainers.models.weights import weights_digest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def folder(place: Path, weights: bytes) -> HubModel:
    (place / "tokens").mkdir(parents=True)
    (place / "model.safetensors").write_bytes(weights)
    (place / "tokens" / "chat.jinja").write_bytes(b"template")
    return HubModel(path=str(place), max_length=8)


def test_a_folder_is_known_by_all_its_files_wherever_it_lies(tmp_path: Path) -> None:
    here, copied, other = (
        folder(tmp_path / name, weights) for name, weights in (("a", b"1"), ("b", b"1"), ("c", b"2"))
    )
    assert weights_digest(here) == weights_digest(copied) != weights_digest(other)
    assert weights_digest(here) == weights_digest(here.model_copy(update={"max_length": 9}))
    (tmp_path / "b" / "more.json").write_text("{}")
    assert weights_digest(here) != weights_digest(copied)


def test_a_file_of_a_sub_folder_counts_also_with_its_time_kept(tmp_path: Path) -> None:
    model = folder(tmp_path, b"1")
    before = weights_digest(model)
    file = tmp_path / "tokens" / "chat.jinja"
    stat = file.stat()
    file.write_bytes(b"elsewhat")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert weights_digest(model) != before


def test_a_linked_folder_counts_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", b"1")
    before = weights_digest(model)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "1.safetensors").write_bytes(b"1")
    (tmp_path / "model" / "linked").symlink_to(tmp_path / "shards")
    linked = weights_digest(model)
    assert linked != before
    (tmp_path / "shards" / "1.safetensors").write_bytes(b"2")
    assert weights_digest(model) != linked
    (tmp_path / "shards" / "around").symlink_to(tmp_path / "model")
    assert weights_digest(model) != linked


def test_hidden_files_do_not_count(tmp_path: Path) -> None:
    model = folder(tmp_path, b"1")
    before = weights_digest(model)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "download.metadata").write_text("time 12")
    (tmp_path / ".gitattributes").write_text("*")
    assert weights_digest(model) == before


def test_toy_models_are_known_by_what_they_are_made_from() -> None:
    toy = ToyModel(size="strong")
    assert weights_digest(toy) == weights_digest(ToyModel(size="strong"))
    assert weights_digest(toy) != weights_digest(ToyModel(size="strong", pretrain_steps=501))


def test_a_hub_id_is_known_by_its_revision() -> None:
    hub = HubModel(path="someone/model", max_length=8)
    assert weights_digest(hub) == weights_digest(hub.model_copy(update={"max_length": 9}))
    assert weights_digest(hub) != weights_digest(hub.model_copy(update={"revision": COMMIT}))
