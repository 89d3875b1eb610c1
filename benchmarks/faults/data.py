"""Faults of what a run learns from: it changes while the run is down."""

import json
import os
import random
from pathlib import Path

from benchmarks.faults.case import Case, Tried, ended, whole
from tests.small_runs.site import Site
from trainers.data.settings import ToyTask
from trainers.data.toy_task import load_toy


def changed_data(site: Site, rng: random.Random, kills: int) -> Tried:
    """All labels of the data file are flipped behind the run's back, and its time is kept; then put back."""
    file = site.out.parent / "reviews.jsonl"
    write_reviews(file)
    splits = "{weak_train: 300, transfer: 300, search: 300, test: 400}"
    site = Site(
        site.out, site.cache, [*site.settings, f"task={{kind: dataset, path: {file}, splits: {splits}}}"]
    )
    driver = site.run()
    driver.wait_for(lambda: site.count("rung_reached") >= 2)
    driver.process.kill()
    driver.wait()
    content, times = file.read_text(), file.stat()
    file.write_text(content.translate({ord("0"): "1", ord("1"): "0"}))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    wrong = ended(site, site.resume(), 2, "these have changed: weak_train.truth, transfer.truth")
    file.write_text(content)
    return Tried(faults=1, wrong=[*wrong, *whole(site, site.resume())])


def write_reviews(file: Path) -> None:
    """The offline task's examples in a file."""
    task = load_toy(ToyTask())
    rows = [
        {"text": text, "label": int(label)}
        for split, examples in task.inputs.items()
        for text, label in zip(examples.texts, task.truth[split], strict=True)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


DATA: dict[str, Case] = {"changed-data": changed_data}
