"""A table of made-up trials: nothing is trained."""

import numpy as np
import pytest

from agents.findings.findings import BranchFinding, Findings
from benchmarks.agent.colleagues.spanning import spanning_branches
from benchmarks.table.data import Table, TaskTable
from benchmarks.table.rows import draw_rows
from benchmarks.table.settings import ABILITIES, TableSettings
from benchmarks.table.world import World

SIZE = 200  # of both splits
WEAK, CEILING = 0.6, 0.95


def predicted(truth: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Right on this share of the examples."""
    right = rng.permutation(SIZE) < round(accuracy * SIZE)
    return np.where(right, truth == 1, truth == 0)


@pytest.fixture(scope="session")
def table() -> Table:
    """200 rows, four seeds; a row's accuracy is between the floor and nine tenths, by chance."""
    settings = TableSettings(encoder="none", methods=200, seeds=4, ceilings=4, transfer=4000, fine_tuned=0)
    settings = settings.model_copy(update={"search": SIZE, "test": SIZE})
    rows, chance = draw_rows(settings)
    rng = np.random.default_rng(0)
    truth = {split: (np.arange(SIZE) % 2).astype(np.int8) for split in ("search", "test")}
    worth = rng.uniform(WEAK, 0.9, size=len(rows))
    rungs = settings.rungs

    def trials(split: str) -> np.ndarray:
        whole = [
            [
                [predicted(truth[split], WEAK + (at - WEAK) * share**0.2, rng) for share in rungs]
                for _ in range(4)
            ]
            for at in worth
        ]
        return np.packbits(np.array(whole), axis=-1)

    def baseline(accuracy: float) -> dict[str, np.ndarray]:
        return {s: np.stack([predicted(t, accuracy, rng) for _ in range(4)]) for s, t in truth.items()}

    steps = np.diff(rungs, prepend=0).astype(np.float32)
    task = TaskTable(
        search=trials("search"),
        test=trials("test"),
        seconds=np.broadcast_to(steps, (len(rows), 4, len(rungs))).copy(),
        failed=np.zeros((len(rows), 4), dtype=bool),
        truth=truth,
        weak=baseline(WEAK),
        ceiling=baseline(CEILING),
    )
    return Table(settings=settings, rows=rows, chance=chance, tasks={"made-up": task}, facts={})


@pytest.fixture
def world(table: Table) -> World:
    return World.of(table, "made-up", 1)


@pytest.fixture
def findings(world: World) -> Findings:
    """The largest branches of the world, live; nothing has been tried."""
    naive = world.table.settings.naive
    methods = [world.table.rows[row].method for row in world.rows]
    found = [
        BranchFinding(branch=branch, round=1, live=True) for branch in spanning_branches(methods, naive)[:4]
    ]
    floors = dict.fromkeys(("weak_acc", "weak_se", "ceiling_acc", "ceiling_se"))
    return Findings(
        round=2,
        **floors,
        naive=naive,
        abilities=ABILITIES,
        branches=tuple(found),
        trials=(),
        trials_left=9,
    )
