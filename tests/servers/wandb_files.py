"""Reads what wandb writes when it is offline: LevelDB's log format around protobuf records."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record, RunRecord

FILE_HEADER, BLOCK, CHUNK_HEADER = 7, 32 * 1024, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Record]:
    """All records of a .wandb file: 32 KiB blocks of chunks (CRC 4 bytes, length 2, kind 1, content)."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    at, whole = FILE_HEADER, b""
    while at < len(data):
        left = BLOCK - at % BLOCK
        if left < CHUNK_HEADER:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        content = data[at + CHUNK_HEADER : at + CHUNK_HEADER + size]
        at += CHUNK_HEADER + size
        whole = content if kind in (FULL, FIRST) else whole + content
        if kind in (FULL, LAST):
            yield Record.FromString(whole)


@dataclass
class OfflineRun:
    """One run as its file tells it."""

    run: RunRecord
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    maxima: set[str] = field(default_factory=set)
    steps: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, set[str]] = field(default_factory=dict)  # the files in each
    exit_code: int | None = None


def offline_run(path: Path) -> OfflineRun:
    """The run in a .wandb file; its last words count."""
    told = OfflineRun(run=RunRecord())
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                told.run = record.run
                told.config |= {
                    item.key: json.loads(item.value_json)
                    for item in record.run.config.update
                    if item.key != "_wandb"
                }
            case "history":
                items = record.history.item
                told.history.append(
                    {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
                )
            case "summary":
                told.summary |= {
                    ".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.summary.update
                }
            case "metric":
                name = record.metric.name or record.metric.glob_name
                told.steps[name] = record.metric.step_metric
                if record.metric.summary.max:
                    told.maxima.add(name)
            case "artifact":
                files = {entry.path for entry in record.artifact.manifest.contents}
                told.artifacts[record.artifact.name] = files
            case "exit":
                told.exit_code = record.exit.exit_code
    return told


def offline_runs(directory: Path) -> dict[str, OfflineRun]:
    """All runs in a run directory, by id; an id must not have two files."""
    runs = [offline_run(path) for path in sorted(directory.glob("wandb/offline-run-*/*.wandb"))]
    by_id = {one.run.run_id: one for one in runs}
    assert len(by_id) == len(runs)
    return by_id
