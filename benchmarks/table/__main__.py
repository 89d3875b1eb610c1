"""Whole campaigns on a table of real trials, beside other methods by the same rules.

    python -m benchmarks.table build --data FOLDER --tasks a,b --out FILE.npz [--encoder FOLDER] [--quick]
    python -m benchmarks.table search FILE.npz --methods ours,random,asha --campaigns 200 [--json] [--quick]

`build` trains hundreds of methods on real text with several seeds: students of a sentence encoder, on the
labels of bags of words that each saw two hundred examples. FOLDER holds
NAME.train.jsonl.gz and NAME.test.jsonl.gz with text and label, or prompt, chosen and rejected.

`search` replays campaigns in virtual time: two workers, whose trials take the seconds that they took and
predict what they predicted. A budget is so many times the mean seconds of a training, over both
workers and with all further seeds of good methods. Every method names one winner at each budget; fresh seeds
on kept-back supervisors and the test split say what it is worth.

    python -m benchmarks.table tasks FILE.npz --campaigns 200 [--cost] [--json] [--quick]

`tasks` leaves one task of the table out in turn and says what is found on the others, by one campaign over
all of them, by campaigns on one, by ASHA and at random on the mean, is worth there. With --cost it says
instead how much longer a campaign over all others takes than one on a single task to find as much.
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import default_encoder
from benchmarks.table import left_out
from benchmarks.table.build import build
from benchmarks.table.data import load, save
from benchmarks.table.judging import AFTER, BUDGETS, LIMIT, METHODS, Figures, campaigns, shown, summary
from benchmarks.table.settings import QUICK, TableSettings
from search.cli.output import INPUT_MISTAKE, complain, stdout_for_json, write_json
from search.scoring.objective import DEFAULT, SAYS

QUICK_CAMPAIGNS = 20


def _build(given: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    chosen = {
        name: value for name in ("methods", "seeds", "fine_tuned") if (value := vars(given)[name]) is not None
    }
    settings = TableSettings(
        encoder=given.encoder or default_encoder(), **(QUICK if given.quick else {}) | chosen
    )
    tables = build(settings, given.data, given.tasks.split(","), processes=given.processes)
    written = False
    for table in tables:
        save(given.out, table)
        written = True
    if not written:
        raise ValueError(f"--tasks {given.tasks}: none has a clear gap, so there is no table")


def _search(given: argparse.Namespace) -> None:
    methods = given.methods.split(",")
    choices = (*METHODS, AFTER, LIMIT)
    if unknown := [method for method in methods if method not in choices]:
        raise ValueError(f"--methods: unknown {', '.join(unknown)}; choose from {', '.join(choices)}")
    if given.campaigns < 1 or given.processes < 1:
        raise ValueError("--campaigns and --processes must be at least 1")
    tasks = load(given.table).tasks  # here too: a process whose table cannot be read would be started again
    names = given.tasks.split(",") if given.tasks else list(tasks)
    if unknown := [name for name in names if name not in tasks]:
        raise ValueError(f"--tasks: {given.table} has no {', '.join(unknown)}; it has {', '.join(tasks)}")
    if AFTER in methods and len(tasks) == 1:
        raise ValueError(f"--methods {AFTER}: {given.table} has one task; build a table of more")
    count = QUICK_CAMPAIGNS if given.quick else given.campaigns
    facts: dict[str, Any] = {"schema": 1, "table": given.table.name, "tasks": names, "budgets": list(BUDGETS)}
    others = _others(given.beside, facts, methods, count) if given.beside else {}

    def write(figures: Figures) -> dict[str, Any]:
        done = ~np.isnan(figures).any(axis=(1, 2, 3))
        of_each = {method: figures[:, place] for place, method in enumerate(methods)} | others
        means = summary({method: found[done] for method, found in of_each.items()})
        result = {**facts, "campaigns": int(done.sum()), "methods": means}
        if given.out:
            kept = {method: _listed(found) for method, found in of_each.items()}
            given.out.write_text(json.dumps({**result, "figures": kept}) + "\n")
        return result

    found = write(campaigns(given.table, names, methods, count, given.processes, write))
    sys.stderr.write(shown(found["methods"]) + "\n")
    if given.json:
        write_json(found, indent=1)


def _others(path: Path, facts: Mapping[str, Any], methods: Sequence[str], count: int) -> dict[str, Figures]:
    """The figures of other methods in an earlier --out, in the same campaigns."""
    earlier = json.loads(path.read_text())
    if differs := [name for name, value in facts.items() if earlier.get(name) != value]:
        raise ValueError(f"--beside: {path} has another {' and '.join(differs)} than this search")
    figures = {method: np.array(found, float)[:count] for method, found in earlier["figures"].items()}
    if any(len(found) < count or np.isnan(found).any() for found in figures.values()):
        raise ValueError(f"--beside: {path} lacks some of the first {count} campaigns")
    return {method: found for method, found in figures.items() if method not in methods}


def _listed(figures: Figures) -> list[Any]:
    """For JSON: null for the figures of campaigns that have not ended."""
    kept: list[Any] = np.where(np.isnan(figures), None, figures.round(6)).tolist()
    return kept


def _tasks(given: argparse.Namespace) -> None:
    if given.campaigns < 1 or given.processes < 1:
        raise ValueError("--campaigns and --processes must be at least 1")
    table = load(given.table)
    names = list(table.tasks)
    if len(names) < left_out.FEWEST:
        raise ValueError(
            f"{given.table} has {len(names)} tasks ({', '.join(names)}); to search on several and leave one "
            f"out takes {left_out.FEWEST}: build a table of more"
        )
    budgets: list[float] = [float(one) for one in given.budgets.split(",")]
    count = QUICK_CAMPAIGNS if given.quick else given.campaigns
    result: dict[str, Any] = {}
    correlations = left_out.rank_correlations(table)

    def write(figures: Sequence[Figures]) -> None:
        found = np.stack(figures)
        facts = {"schema": 1, "table": given.table.name, "tasks": names, "budgets": budgets}
        facts["objective"] = given.objective
        facts["rank_correlations"] = correlations
        told = left_out.cost_summary(found) if given.cost else left_out.summary(names, found)
        result.update({**facts, "campaigns": len(found), **told})
        if given.out:
            given.out.write_text(json.dumps(result, indent=1) + "\n")

    left_out.campaigns(
        given.table, budgets, count, given.processes, write, objective=given.objective, cost=given.cost
    )
    if not given.cost:
        sys.stderr.write(left_out.shown(result["mean"], budgets) + "\n")
    if given.json or given.cost:
        write_json(result, indent=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("build", help="run the trials of a table")
    making.set_defaults(command=_build)
    making.add_argument("--data", type=Path, required=True, help="folder of NAME.train.jsonl.gz")
    making.add_argument("--tasks", required=True, help="names, separated by commas")
    making.add_argument("--out", type=Path, required=True, help="the file, .npz")
    making.add_argument("--encoder", help="folder of the strong model; default: all-MiniLM-L6-v2")
    making.add_argument("--methods", type=int, help="rows of the table")
    making.add_argument("--seeds", type=int, help="of each method, and supervisors")
    making.add_argument("--fine-tuned", type=int, help="methods that train the encoder itself, at most")
    making.add_argument("--processes", type=int, default=2, help="each with one thread")
    making.add_argument("--quick", action="store_true", help="60 methods, 4 seeds, small splits")
    searching = commands.add_parser("search", help="replay campaigns on a table")
    searching.set_defaults(command=_search)
    searching.add_argument("table", type=Path, help="the file that build has written")
    searching.add_argument(
        "--methods",
        default=",".join(METHODS),
        help=f"of {','.join(METHODS)}; {LIMIT}: what the search split tells of all rows at no cost; "
        f"{AFTER}: begins with campaigns on the table's other tasks",
    )
    searching.add_argument("--campaigns", type=int, default=200)
    searching.add_argument("--processes", type=int, default=2, help="each with one thread")
    searching.add_argument("--json", action="store_true", help="print the figures as JSON")
    searching.add_argument("--tasks", help="of the table, separated by commas; default: all, in turn")
    searching.add_argument("--out", type=Path, help="also write them here after each campaign, one by one")
    searching.add_argument(
        "--beside", type=Path, help="an earlier --out, of other methods in these campaigns"
    )
    searching.add_argument("--quick", action="store_true", help="20 campaigns")
    several = commands.add_parser("tasks", help="leave a task out in turn, and search on the others")
    several.set_defaults(command=_tasks)
    several.add_argument("table", type=Path, help="the file that build has written, of three tasks or more")
    several.add_argument("--campaigns", type=int, default=200)
    several.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="mean trainings of a task")
    several.add_argument("--objective", choices=SAYS, default=DEFAULT, help="the score over several tasks")
    several.add_argument("--cost", action="store_true", help="seconds on one task and on all others")
    several.add_argument("--processes", type=int, default=2, help="each with one thread")
    several.add_argument("--json", action="store_true", help="print the figures as JSON")
    several.add_argument("--out", type=Path, help="also write them here after each campaign")
    several.add_argument("--quick", action="store_true", help="20 campaigns")
    return parser


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    given = _parser().parse_args(argv)
    try:
        given.command(given)
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
