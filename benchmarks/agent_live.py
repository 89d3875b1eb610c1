"""Is Claude worth its dollars? Paired campaigns, the agent's against the playbook's, for whoever has a key.

    python -m benchmarks.agent_live CONFIG --max-usd 5 --minutes 10 --out FOLDER

For each seed the config is run twice, with the same data, supervisors and hours of training: by the playbook,
and by Claude as the config's `agent` says, or as it is by default. What is compared is the confirmed PGR of
the finalist that was named best before the test split was opened. The dollars are shared out: a campaign may
spend its part of what is left. Runs stay in FOLDER, and a second call with the same one goes on where the
first ended: nothing is paid for twice. Prints JSON; a point of PGR is .01.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from agents.claude.messages import read_key
from agents.settings import ClaudeConfig
from search import load, run
from search.cli.output import FAILED, INPUT_MISTAKE, complain, stdout_for_json, write_json
from search.config.load import dump_config, load_config
from search.output.agent.proposers import not_the_agents
from search.scoring.pgr import Estimate

Row = dict[str, Any]
BY_PLAYBOOK = ("agent={kind: playbook}",)
ASKED = "asked.yaml"  # the config of the runs in a folder


def of_seed(path: Path, overrides: Sequence[str], seed: int) -> list[str]:
    """The overrides of both campaigns of a seed: a generated or sampled task differs between seeds too."""
    of_task = [f"task.seed={seed}"] if not load_config(path, overrides).tasks else []
    return [*overrides, f"seed={seed}", *of_task]


def by_claude(path: Path, overrides: Sequence[str], max_usd: float) -> list[str]:
    """The overrides of a campaign by Claude that may spend so many dollars. ValueError without a key."""
    agent = load_config(path, overrides).agent
    chosen = agent if isinstance(agent, ClaudeConfig) else ClaudeConfig()
    read_key(chosen)
    settings = chosen.model_copy(update={"max_usd": max_usd}).model_dump(mode="json", exclude_defaults=True)
    return [f"agent={json.dumps(settings | {'kind': 'claude'})}"]


def campaign(path: Path, overrides: Sequence[str], folder: Path) -> Row:
    """The result.json of a run; one that has ended is not run again, one that was cut short goes on.

    Raises ValueError for a mistake in the input, RuntimeError where a run fails or has no PGR to compare.
    """
    result = folder / "result.json"
    if not result.is_file():
        resumed = (folder / "config.yaml").is_file()
        run(load(folder).config if resumed else load_config(path, overrides), folder, progress=True)
    found: Row = json.loads(result.read_text())
    if found["best"] is None or found["best"]["pgr"] is None:
        raise RuntimeError(f"{folder}: has no confirmed PGR: no finalist, or no gap on the test split")
    return found


def spent(result: Row) -> float:
    """Dollars, with the most that requests without an answer may cost."""
    return float(result["cost"]["usd"] + result["cost"]["unanswered_usd"])


def figures(result: Row) -> Row:
    """What is compared of a campaign. not_the_agents: why no round is the agent's; empty where one is."""
    best = result["best"]
    return {
        "pgr": best["pgr"],
        "se": best["se"],
        "over_naive": best["over_naive"]["pgr"],
        "trials": sum(result["trials"].values()),
        "train_s": result["cost"]["train_s"],
        "wall_s": result["cost"]["wall_s"],
        "usd": spent(result),
        "not_the_agents": not_the_agents(result["agent"]),
    }


def summary(pairs: Sequence[Row]) -> Row:
    """Of the pairs of campaigns: by how much Claude's confirm a higher PGR, and what a point of it cost.

    gain: mean difference over seeds, with the interval and the one-sided p of Student's t. usd_a_point:
    dollars over the gain in hundredths, summed over campaigns; null where there is no gain to pay for.
    by_agent: campaigns of which at least one round was the agent's.
    """
    gains = [pair["claude"]["pgr"] - pair["playbook"]["pgr"] for pair in pairs]
    usd = sum(pair["claude"]["usd"] for pair in pairs)
    told: Row = {"seeds": len(pairs), "usd": round(usd, 4)}
    told["by_agent"] = sum(not pair["claude"]["not_the_agents"] for pair in pairs)
    told["mean_pgr"] = {name: fmean(pair[name]["pgr"] for pair in pairs) for name in ("claude", "playbook")}
    gain = fmean(gains)
    told["gain"], told["higher_in"] = gain, sum(one > 0 for one in gains)
    if len(gains) > 1:
        found = Estimate(value=gain, se=stdev(gains) / math.sqrt(len(gains)), df=len(gains) - 1)
        told["gain_ci95"], told["gain_p"] = list(found.ci95), found.p_positive
    told["usd_a_point"] = usd / (100 * gain * len(gains)) if gain > 0 else None
    return told


def keep_apart(folder: Path, config: str) -> None:
    """Raise ValueError if the runs in a folder are of another config; remember this one otherwise."""
    asked = folder / ASKED
    if asked.is_file() and asked.read_text() != config:
        raise ValueError(f"--out {folder}: holds campaigns of other settings ({asked}); name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    asked.write_text(config)


def compare(given: argparse.Namespace) -> Row:
    """Both campaigns of every seed. Raises ValueError for a mistake in the input."""
    overrides = list(given.set)
    if given.minutes is not None:
        overrides.append(f"search.max_hours={given.minutes / 60}")
    config = load_config(given.config, overrides)
    if config.search.max_hours is None:
        raise ValueError(f"{given.config} sets no search.max_hours, the same for both: pass --minutes")
    by_claude(given.config, overrides, given.max_usd)  # says that a key is missing before anything is trained
    keep_apart(given.out, dump_config(config))
    pairs, left, began = list[Row](), given.max_usd, time.monotonic()
    for seed in range(given.seeds):
        shared, folder = of_seed(given.config, overrides, seed), given.out / f"seed-{seed}"
        agents = by_claude(given.config, overrides, left / (given.seeds - seed))
        playbook = campaign(given.config, [*shared, *BY_PLAYBOOK], folder / "playbook")
        claude = campaign(given.config, [*shared, *agents], folder / "claude")
        left = max(0.0, left - spent(claude))
        pairs.append({"seed": seed, "playbook": figures(playbook), "claude": figures(claude)})
        to_come = (time.monotonic() - began) / len(pairs) * (given.seeds - len(pairs)) / 60
        sys.stderr.write(f"{json.dumps(pairs[-1])}\n{len(pairs)} of {given.seeds} pairs, ")
        sys.stderr.write(f"{given.max_usd - left:.2f} dollars; about {to_come:.0f} min left\n")
    return {"config": str(given.config), "max_usd": given.max_usd, "pairs": pairs, "summary": summary(pairs)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agent_live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="a config of a search")
    parser.add_argument("--max-usd", type=float, required=True, help="dollars for all campaigns together")
    parser.add_argument("--seeds", type=int, default=10, help="pairs of campaigns")
    parser.add_argument("--minutes", type=float, help="of training in each search; default: search.max_hours")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of both campaigns")
    return parser


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 1 if a run fails, 2 on a mistake in the input."""
    given = _parser().parse_args(argv)
    try:
        if given.seeds < 1 or not given.max_usd > 0:
            raise ValueError("--seeds must be at least 1 and --max-usd above 0")
        write_json(compare(given), indent=1)
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    except RuntimeError as error:
        return complain(str(error), FAILED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
