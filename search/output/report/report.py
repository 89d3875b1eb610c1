"""report.html: a run on a single page that needs no network.

Only `write_report` reads or writes files, and where texts are shown `disagreements.texts` reads the task's.
"""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agents.findings.differences import differences
from search.config.load import dump_config
from search.config.schema import RunConfig
from search.engine.compared.naive import naive_search_pgr
from search.ledger.record import Record
from search.output.agent.proposers import lane_rows
from search.output.hidden_table import sentences
from search.output.live_view.progress import state
from search.output.openings import openings_text
from search.output.outcome_table import seeds_note
from search.output.report import disagreements
from search.output.report import facts as facts
from search.output.report.about import about
from search.output.report.charts import charts, scored_trials
from search.output.result import Outcome, saved_by_pruning_s, trained_s
from search.output.searched_table import searched_sentences
from search.storage.run_directory import RunDirectory
from search.studies.importance import MIN_RESAMPLED
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


def render(config: RunConfig, record: Record, outcome: Outcome | None) -> str:
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
        about=about(config, record),
        tiles=facts.tiles(config, record, outcome),
        outcome=outcome,
        baselines=record.baselines,
        finalists=_finalists(config, outcome),
        seeds_note=seeds_note,
        hidden_sentences=list(sentences(outcome)) if outcome and outcome.get("hidden") else (),
        searched_sentences=list(searched_sentences(outcome)) if outcome else (),
        trials=[finalist.get("trial") for finalist in outcome["finalists"]] if outcome else (),
        **_differences(config, record, outcome),
        figures=charts(config, record, outcome, scored),
        naive_on_search=naive_search_pgr(config, record),
        roots=facts.family_tree(record),
        scored=len(scored),
        needed=MIN_RESAMPLED,
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


def _finalists(config: RunConfig, outcome: Outcome | None) -> list[tuple[dict[str, Any], str]]:
    return [
        (finalist, differences(Method.model_validate(finalist["method"]), config.naive))
        for finalist in (outcome["finalists"] if outcome else ())
    ]


def _differences(config: RunConfig, record: Record, outcome: Outcome | None) -> dict[str, Any]:
    """Where the best and naive differ: counts by seed, examples, and why they are without their texts."""
    if outcome is None:
        return {"differences": [], "examples": [], "without_text": ""}
    found = disagreements.most_different(config, record, outcome)
    texts, why = disagreements.texts(config, record, found) if found else ([], "")
    shown = [replace(one, text=text) for one, text in zip(found, texts, strict=True)] if texts else found
    counts = disagreements.by_seed(config, record, outcome)
    return {"differences": counts, "examples": shown, "without_text": why}
