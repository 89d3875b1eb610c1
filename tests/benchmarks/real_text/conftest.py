import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Writes the task made_up: so many rows, and fields beside text and label, each a value or a function."""

    def written(rows: int, test_rows: int = 60, **fields: Any) -> None:
        for split, count in (("train", rows), ("test", test_rows)):
            with gzip.open(tmp_path / f"made_up.{split}.jsonl.gz", "wt") as file:
                for i in range(count):
                    row = {"text": f"{split} text {i}", "label": i % 2}
                    row |= {name: value(i) if callable(value) else value for name, value in fields.items()}
                    file.write(json.dumps(row) + "\n")

    return written
