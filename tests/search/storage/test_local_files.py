from pathlib import Path

from search.storage.local_files import head, pointers, versions, whole_sizes


def test_sizes_count_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b"one\ntwo")
    assert whole_sizes(tmp_path) == {"ledger.jsonl": 4}
    assert head(tmp_path / "ledger.jsonl", 4) == b"one\n"


def test_locks_and_drafts_are_no_files_of_a_run(tmp_path: Path) -> None:
    stage = tmp_path / "checkpoints/t1/stage-0"
    stage.mkdir(parents=True)
    for file in (
        tmp_path / ".lock",
        tmp_path / "a.lock",
        stage / ".latest.json.1.tmp",
        stage / "latest.json",
    ):
        file.write_bytes(b"1")
    assert {name: size for name, (size, _) in versions(tmp_path).items()} == {
        "checkpoints/t1/stage-0/latest.json": 1
    }
    assert pointers(tmp_path) == {"checkpoints/t1/stage-0/latest.json": b"1"}
