from io import StringIO

import pytest
from rich.console import Console

from search.campaign import _say_merged_rungs
from search.config.schema import RunConfig
from trainers.data.settings import SplitSizes, ToyTask


@pytest.mark.parametrize(("transfer", "said"), [(20_000, False), (64, True)])
def test_rungs_that_little_data_merges_are_said(config: RunConfig, transfer: int, said: bool) -> None:
    task = ToyTask(splits=SplitSizes(weak_train=10, transfer=transfer, search=200, test=300))
    pruning = config.search.pruning.model_copy(update={"min_steps": 8})
    search = config.search.model_copy(update={"pruning": pruning})
    console = Console(file=StringIO())
    _say_merged_rungs(config.model_copy(update={"task": task, "search": search}), console)
    assert ("rung" in console.file.getvalue()) == said
