"""report.html: a run on a single page that needs no network. Only `write_report` reads or writes files."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agents.findings.differences import differences
from search.config.load import dump_config
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.outcome_table import seeds_note
from search.output.progress import state
from search.output.report import facts as facts
from search.output.report.charts import charts, scored_trials
from search.output.result import lane_rows, openings_text, saved_by_pruning_s, trained_s
from search.storage.run_directory import RunDirectory
from search.studies.importance import MIN_TRIALS
from trainers.files import replace_file
from trainers.method import Method

PAGE = Path(__file__).parent / "page"


def write_report(run: RunDirectory, path: Path | None = None) -> Path:
    """Write the report of a run in any state, whole or not at all; returns its path.

    path: the file to write, by default report.html in the run's directory. Raises ValueError if the directory
    holds no run.
    """
    config, record = run.load()
    page = render(config, record, run.read_result())
    path = path or run.report
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, page.encode(errors="replace"))  # a lone surrogate must not prevent the report
    return path


def render(config: RunConfig, record: Record, outcome: facts.Outcome | None) -> str:
    """The page. outcome: the content of result.json, None for an unfinished run."""
    script = (PAGE / "report.js").read_text()
    scored = scored_trials(record)
    spent, saved = trained_s(record), saved_by_pruning_s(record)
    commit = record.started.commit if record.started else "unknown"
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("report.html").render(
        run=record.started.run if record.started else config.name,
        state=state(record),
        headline=facts.headline(config, record, outcome),
        tiles=facts.tiles(config, record, outcome),
        outcome=outcome,
        baselines=record.baselines,
        finalists=_finalists(config, outcome),
        seeds_note=seeds_note,
        figures=charts(config, record, outcome, scored),
        roots=facts.family_tree(record),
        scored=len(scored),
        needed=MIN_TRIALS,
        costs=facts.costs(record),
        lost_data=facts.lost_data(record),
        lanes=lane_rows(record),
        spent_percent=round(100 * spent / (spent + saved)) if spent + saved > 0 else 100,
        failures=facts.failures(record),
        commands=f"git checkout {commit.removesuffix('+')}\npython -m search run config.yaml --out again",
        commit=commit,
        config_sha256=config.sha256,
        seeds=facts.seeds(config),
        sources=facts.sources(record, outcome),
        openings=openings_text(outcome) if outcome else "",
        config_yaml=dump_config(config),
        rows=list(facts.trial_rows(config, record)),
        style=Markup((PAGE / "report.css").read_text()),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _finalists(config: RunConfig, outcome: facts.Outcome | None) -> list[tuple[dict[str, Any], str]]:
    return [
        (finalist, differences(Method.model_validate(finalist["method"]), config.naive))
        for finalist in (outcome["finalists"] if outcome else ())
    ]
