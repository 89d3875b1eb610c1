"""What is help worth? Scripted agents of known quality in whole campaigns on a table of real trials.

    python -m benchmarks.agent.colleagues FILE.npz --campaigns 200 [--parts lanes,critic] [--json]

FILE.npz is a table that `python -m benchmarks.table build` has written. Each campaign runs by the objects of
production, in virtual time, once for every arm; the arms of a campaign share the rows that they may find, the
supervisors and the seed, and are compared in pairs by the confirmed PGR of their winners.

suggestions: branches that span the table's rows are searched, and a colleague names a share of the draws. The
oracle knows the test PGR of every row, the informed colleague knows it with noise as large as its spread, the
believer knows what the surrogate expects; literature, random and stubborn know nothing; the hostile one names
the worst, after nonsense that is refused.
lanes, critic and effort ask Claude's proposer of a run through its real client; scripts answer on loopback.
A lane proposes the spaces that it expects most of, in words of its own. Its skill, 0.7 unless it guesses, is
the correlation of what it expects with the best test PGR among a space's rows; the errors of lanes are
independent unless they are alike. Proposals take no virtual time.
lanes: against one lane of four branches, three of the same skill, one as wide as these, and four narrow ones
of a branch each; without a board no lane hears of the others' branches or of earlier ones.
critic: half of a careless lane's branches have a fault: an accepted branch in other words, one moved by a
quarter of its ranges, or a range that leaves out the value that it argues for. A critic refuses faults, a
judge what is worth less than the median space; it is right about a branch as often as its arm says.
effort: a skilled lane in the first round alone, or in all others.

`named`: the share of draws that the colleague named. Of branches, by kind and end, `each`: so many in a
campaign; `best`: the highest test PGR among the untried rows of a branch when it was proposed; `whole`: among
all rows of the space that it words; `found`: among the rows that its trials trained, which may lie beside its
space. No model is asked and no key is needed.
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.agent.colleagues.campaigns import PARTS, Arm, Outcome, campaign
from benchmarks.agent.colleagues.fates import End, ahead, by_fate
from benchmarks.agent.colleagues.means import mean_and_se
from benchmarks.table.data import Table, load
from benchmarks.table.judging import quiet
from benchmarks.table.processes import in_processes
from benchmarks.table.world import World
from search.cli.output import INPUT_MISTAKE, complain, stdout_for_json, write_json

QUICK_CAMPAIGNS = 4
REFUSING: tuple[End, ...] = ("checks", "critic")
Found = dict[str, list[Outcome]]

_table: Table | None = None


def _begin(path: Path) -> None:
    global _table
    _table = load(path)


def _campaign(given: tuple[int, float, tuple[str, ...]]) -> dict[str, Outcome]:
    """The outcomes of these arms in a campaign."""
    assert _table is not None
    number, budget, chosen = given
    names = list(_table.tasks)
    world = World.of(_table, names[number % len(names)], number)
    with quiet():
        arms = _arms(tuple(PARTS), chosen)
        return {name: campaign(world, number, budget, arm) for name, arm in arms.items()}


def _arms(parts: Sequence[str], chosen: Sequence[str] = ()) -> dict[str, Arm]:
    """The arms of these parts; only those that are chosen if any are. ValueError for what there is not."""
    if unknown := [part for part in parts if part not in PARTS]:
        raise ValueError(f"--parts: unknown {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    arms = {name: arm for part in parts for name, arm in PARTS[part]().items()}
    if unknown := [name for name in chosen if name not in arms]:
        raise ValueError(f"--arms: unknown {', '.join(unknown)}; choose from {', '.join(arms)}")
    return {name: arm for name, arm in arms.items() if not chosen or name in chosen}


def summary(arms: Mapping[str, Arm], found: Found) -> dict[str, Any]:
    """Mean confirmed PGR and regret of every arm, and its gain over the arm that it is compared with."""
    rows: dict[str, Any] = {}
    for name, arm in arms.items():
        mine = found[name]
        pgr, se = mean_and_se([one.pgr for one in mine])
        rows[name] = {"confirmed_pgr": pgr, "se": se, "regret": mean_and_se([one.regret for one in mine])[0]}
        rows[name]["named"] = round(sum(o.named for o in mine) / max(1, sum(o.draws for o in mine)), 3)
        if any(one.branches for one in mine):
            rows[name] |= _branches(mine)
        if arm.against in found:
            gains = [a.pgr - b.pgr for a, b in zip(mine, found[arm.against], strict=True)]
            rows[name]["gain"], rows[name]["gain_se"] = mean_and_se(gains)
    return rows


def _branches(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What became of the branches of an arm."""
    branches = [one.branches for one in outcomes]
    return {
        "stand_ins": round(sum(one.stand_ins for one in outcomes) / len(outcomes), 2),
        "branches": by_fate(branches),
        "accepted_ahead": {end: gap for end in REFUSING if (gap := ahead(branches, end))},
    }


def shown(rows: Mapping[str, Any]) -> str:
    """A line an arm."""
    lines = [f"{'arm':<20}{'confirmed PGR':>17}{'gain':>18}{'regret':>8}{'named':>7}"]
    for name, row in rows.items():
        gain = f"{row['gain']:+.3f} ± {row['gain_se'] or 0:.3f}" if "gain" in row else ""
        pgr = f"{row['confirmed_pgr']:.3f} ± {row['se'] or 0:.3f}"
        lines.append(f"{name:<20}{pgr:>17}{gain:>18}{row['regret']:>8.3f}{row['named']:>7.2f}")
    return "\n".join([*lines, *_shown_branches(rows)])


def _shown_branches(rows: Mapping[str, Any]) -> list[str]:
    lines = [f"\n{'branches':<38}{'each':>6}{'rows':>6}{'best':>7}{'whole':>7}{'found':>7}"]
    for name, row in rows.items():
        for group, of in row.get("branches", {}).items():
            pgrs = "".join(f"{_pgr(of[key]):>7}" for key in ("best", "whole", "found"))
            lines.append(f"{name + ': ' + group:<38}{of['branches']:>6.1f}{of['rows']:>6.1f}{pgrs}")
        for end, gap in row.get("accepted_ahead", {}).items():
            lines.append(f"{name}: accepted are ahead of {end} by {gap['mean']:+.3f} ± {gap['se'] or 0:.3f}")
    return lines if len(lines) > 1 else []


def _pgr(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _compare(given: argparse.Namespace) -> None:
    arms = _arms(given.parts.split(","), given.arms.split(",") if given.arms else ())
    if given.campaigns < 1 or given.processes < 1 or given.budget <= 0:
        raise ValueError("--campaigns and --processes must be at least 1, and --budget above 0")
    names = list(load(given.table).tasks)  # a process whose table cannot be read would be started again
    count = QUICK_CAMPAIGNS if given.quick else given.campaigns
    found: Found = {name: [] for name in arms}
    facts = {"schema": 1, "table": given.table.name, "tasks": names, "budget": given.budget}

    def result() -> dict[str, Any]:
        return {**facts, "campaigns": len(next(iter(found.values()))), "arms": summary(arms, found)}

    todo = [(number, given.budget, tuple(arms)) for number in range(count)]
    with in_processes(given.processes, _begin, (given.table,)) as ended:
        for outcomes in tqdm(ended(_campaign, todo), total=count, desc="campaigns"):
            for name, outcome in outcomes.items():
                found[name].append(outcome)
            if given.out:
                given.out.write_text(json.dumps(result(), indent=1) + "\n")
    whole = result()
    sys.stderr.write(shown(whole["arms"]) + "\n")
    if given.json:
        write_json(whole, indent=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agent.colleagues",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="the file that benchmarks.table build has written")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--arms", help="of these, such as 'one lane,three lanes'; all by default")
    parser.add_argument("--campaigns", type=int, default=200)
    parser.add_argument("--budget", type=float, default=30.0, help="of a campaign, in mean trainings")
    parser.add_argument("--processes", type=int, default=2, help="each with one thread")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--out", type=Path, help="also write them here after each campaign")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CAMPAIGNS} campaigns")
    return parser


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    given = _parser().parse_args(argv)
    try:
        _compare(given)
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
