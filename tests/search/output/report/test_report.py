"""report.html, from runs that the real ledger wrote; the slow tests look at it in a real browser."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.findings.round_proposal import LaneReport
from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.engine.confirmation import Confirmation
from search.ledger.events import Interrupted, LaneAnswered, Proposed
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.hidden import hidden_part
from search.output.report.report import render, write_report
from search.output.result import result
from search.output.searched_tasks import over_tasks, tasks_part
from search.storage.run_directory import RunDirectory, new_run
from tests.search.output.conftest import moved, on_task, without_gap
from tests.small_runs.chromium import PHONE, Opened
from tests.small_runs.synthetic import synthetic_run

HOSTILE = (
    '</script><script>window.hurt=1</script><img src=x onerror="window.hurt=2;alert(1)">'
    "<svg onload=alert(3)>{{ 7*7 }}{% raw %}</title></style>]]>&lt;b&gt;"
    "' onmouseover='window.hurt=4' \u202e x"
)


def write(run: RunDirectory, *events: Any) -> Path:
    """The report of a run with these events."""
    ledger = Ledger(run.ledger)
    for event in events:
        ledger.append(event)
    ledger.close()
    return write_report(run)


def shown(opened: Opened, selector: str) -> list[str]:
    return list(opened.page.locator(selector).evaluate_all("all => all.map(one => one.innerText)"))


def marks(opened: Opened, section: str, width: str = "wide") -> int:
    """How many marks with a name the figure of a section has."""
    figure = f"#{section} + figure .{width} svg path[role=graphics-symbol][aria-label]"
    return int(opened.page.locator(figure).count())


@pytest.mark.slow
def test_the_numbers_on_the_page_are_those_of_the_result(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report)
    result = json.loads(forty.result.read_text())
    rows = opened.page.locator("#naive, .finalist").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('data')]"
        ".map(one => [Number(one.value), one.innerText]))"
    )
    for one, cells in zip([result["naive"], *result["finalists"]], rows, strict=True):
        numbers = [(one["accuracy"], ".4f"), (one["accuracy_se"], ".4f")]
        numbers += [(one["pgr"], ".3f"), (one["se"], ".3f"), *((end, ".3f") for end in one["ci95"])]
        if over := one.get("over_naive"):
            numbers += [(value, "+.3f") for value in (over["pgr"], *over["ci95"])]
            numbers += [(one["beats_naive_p"], ".2g"), (one["sign_flip"]["p"], ".2g")]
        numbers += [(one["search_pgr"], ".3f")]
        numbers += [(one["worst_seed"]["pgr"], ".3f")]
        assert cells == [[value, format(value, form)] for value, form in numbers]
    by_seed = shown(opened, "#naive + tr.method")[0]
    assert by_seed == "PGR by seed: " + ", ".join(f"{one['pgr']:.3f}" for one in result["naive"]["per_seed"])
    floor = opened.page.locator("#floor data").evaluate_all("all => all.map(one => Number(one.value))")
    names = ("weak_acc", "weak_se", "majority", "ceiling_acc", "ceiling_se")
    assert floor == [result["baselines"][key] for key in names]
    assert f"PGR {result['best']['pgr']:.3f} ± {result['best']['se']:.3f}" in shown(opened, "#headline")[0]
    counts = result["trials"]
    tiles = " ".join(shown(opened, ".tile"))
    assert f"{counts['completed']} completed, {counts['pruned']} pruned, {counts['failed']} failed" in tiles
    [reproduce] = shown(opened, "#reproduce ~ pre")
    assert f"git checkout {result['commit']}" in reproduce
    assert result["config_sha256"] in opened.page.content()


def test_a_result_of_an_earlier_version_has_its_report(forty: RunDirectory) -> None:
    config, record = forty.load()
    outcome = json.loads(forty.result.read_text())
    for one in (outcome["naive"], outcome["best"], *outcome["finalists"]):
        for name in ("accuracy", "accuracy_se", "per_seed", "worst_seed", "collapses", "sign_flip"):
            one.pop(name, None)
    page = render(config, record, outcome)
    assert f"{outcome['best']['pgr']:.3f}" in page
    assert "PGR by seed" not in page


@pytest.mark.slow
def test_what_each_round_and_lane_cost_is_that_of_the_result(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report)
    lanes = json.loads(forty.result.read_text())["agent"]["lanes"]
    rows = opened.page.locator("#lanes tbody tr:not(.method)").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('data')].map(one => Number(one.value)))"
    )
    keys = ("input_tokens", "cache_read_tokens", "output_tokens", "usd")
    assert rows == [[lane[key] for key in keys] for lane in lanes]
    assert len(lanes) == 2 * 2
    assert shown(opened, "#lanes tr")[1].split() == [
        "1",
        "1",
        "claude",
        "4",
        "0",
        "9401",
        "9000",
        "2000",
        "0.0625",
    ]
    assert shown(opened, "#lanes tr.method") == ["the answer was cut short"] * 2


@pytest.mark.slow
def test_every_figure_draws_what_there_is(forty: RunDirectory, open_report: Callable[..., Opened]) -> None:
    opened = open_report(forty.report)
    _, record = forty.load()
    graded = [one for one in record.trials.values() if one.last]
    long = [one for one in graded if len(one.rungs) > 1]
    assert marks(opened, "trials") == marks(opened, "trials", "narrow") == len(graded)
    searched = [one for one in graded if one.purpose == "search"]
    assert len(searched) == len(graded) - 1  # and naive
    assert marks(opened, "rungs") == 2 * len(searched) + 3  # an end and a line each, and three stops
    assert len(long) < len(graded)
    seeds = json.loads(forty.result.read_text())["naive"]["seeds"]
    assert marks(opened, "finalists") == 4 + 4 * seeds  # naive among them
    gains = opened.page.locator("#finalists + figure + figure .wide path[role=graphics-symbol][aria-label]")
    assert gains.count() == 3 + 3 * seeds
    best = json.loads(forty.result.read_text())["best"]["over_naive"]
    low, high = best["ci95"]
    said = f"over naive {best['pgr']:+.3f}, 95% interval {low:+.3f} to {high:+.3f}"
    assert any(said in str(label) for label in gains.evaluate_all("all => all.map(one => one.ariaLabel)"))
    for section in ("parallel", "importance"):
        assert opened.page.locator(f"#{section} + figure .wide svg path").count() > 0
    names = set(shown(opened, ".tree b:first-child"))
    assert set(record.branches) <= names
    assert "training diverged" in " ".join(shown(opened, "#failures + table"))
    assert opened.complaints == []
    assert opened.asked == [forty.report.as_uri()]


@pytest.mark.slow
def test_a_mark_says_its_name_under_the_pointer(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report)
    mark = opened.page.locator("#trials + figure .wide path[aria-label^='t00002']").first
    mark.scroll_into_view_if_needed()
    assert opened.page.locator("#tip").is_hidden()
    mark.hover(force=True)
    assert shown(opened, "#tip") == [mark.get_attribute("aria-label")]


@pytest.mark.slow
def test_a_phone_shows_one_column_and_the_narrow_figures(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report, viewport=PHONE, is_mobile=True, has_touch=True)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert opened.page.locator("#trials + figure .narrow").is_visible()
    assert opened.page.locator("#trials + figure .wide").is_hidden()
    assert opened.page.evaluate("getComputedStyle(document.body).fontSize") == "16px"


@pytest.mark.slow
def test_dark_light_and_paper(forty: RunDirectory, open_report: Callable[..., Opened]) -> None:
    opened = open_report(forty.report, color_scheme="dark")
    paper, ink = "getComputedStyle(document.body).backgroundColor", "getComputedStyle(document.body).color"
    label = "getComputedStyle(document.querySelector('#trials + figure .wide text')).fill"
    assert opened.page.evaluate(paper) == "rgb(18, 22, 28)"
    assert opened.page.evaluate(label) == opened.page.evaluate(ink) == "rgb(230, 233, 238)"
    opened.page.emulate_media(color_scheme="light")
    assert opened.page.evaluate(paper) == "rgb(255, 255, 255)"
    opened.page.emulate_media(color_scheme="dark", media="print")
    assert opened.page.evaluate(paper) == "rgb(255, 255, 255)"
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not(.long) pre").is_visible()
    assert opened.page.pdf().startswith(b"%PDF")


@pytest.mark.slow
def test_hostile_strings_are_shown_and_do_nothing(
    tmp_path: Path,
    config: RunConfig,
    events: SimpleNamespace,
    branch: Callable[..., Branch],
    open_report: Callable[..., Opened],
) -> None:
    """Whatever a model or a run's data can put into the ledger and into result.json, all at once."""
    run = new_run(tmp_path, config)
    vile = branch("one").model_copy(update={"hypothesis": HOSTILE})
    proposal = Proposal(branches=(vile,), rationale=HOSTILE)
    trials = [
        event
        for i in range(3)
        for event in (
            events.started(f"t{i}", branch=HOSTILE, lr=10.0 ** (-2 - i)),
            events.reached(f"t{i}", 1 / 3, 0.1),
            events.reached(f"t{i}", 1.0, 0.5 - i / 10),
            events.ended(f"t{i}"),
        )
    ]
    failed = [events.started("t8", branch=HOSTILE), events.ended("t8", "failed", HOSTILE)]
    pruned = [
        events.started("t9", branch=HOSTILE),
        events.reached("t9", 1 / 3, 0.0),
        events.ended("t9", "pruned", HOSTILE),
    ]
    method = config.naive.model_dump()
    one = {"method": method, "pgr": 0.5, "se": 0.1, "ci95": [0.3, 0.7], "seeds": 3}
    best = one | {"branch": HOSTILE + "\ud800", "search_pgr": 0.6, "beats_naive_p": 0.01}
    best["over_naive"] = {"pgr": 0.1, "se": 0.05, "ci95": [0.0, 0.2]}
    floors = {"weak_acc": 0.6, "weak_se": 0.01, "ceiling_acc": 0.9, "ceiling_se": 0.01, "seeds": 5}
    lane = LaneReport(lane=HOSTILE, direction=HOSTILE, source="claude", branches=(HOSTILE,), why=HOSTILE)
    run.result.write_text(json.dumps({"naive": one, "best": best, "finalists": [best], "baselines": floors}))
    path = write(
        run,
        events.run_started(run=HOSTILE, commit=HOSTILE),
        events.baselines(),
        Proposed(round=1, proposal=proposal, seconds=0.0),
        *trials,
        *failed,
        *pruned,
        LaneAnswered(round=1, lane=lane),
    )
    opened = open_report(path)
    opened.page.locator("#trials + figure .wide path[aria-label^='t1']").first.hover(force=True)
    assert opened.complaints == []
    assert opened.asked == [path.as_uri()]
    assert opened.page.evaluate("window.hurt") is None
    assert opened.page.evaluate("document.querySelectorAll('script').length") == 1
    assert opened.page.locator("img, iframe, object, [onerror], [onload], [onmouseover]").count() == 0
    for selector in (
        "h1",
        ".tree p",
        ".finalist b",
        "#lanes tbody",
        "#failures + table",
        "#tip",
        "#headline",
    ):
        assert any(HOSTILE[:40] in text for text in shown(opened, selector)), selector
    assert "{{ 7*7 }}" in shown(opened, "h1")[0]


@pytest.mark.slow
def test_a_run_in_progress_and_one_that_was_stopped(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, open_report: Callable[..., Opened]
) -> None:
    run = new_run(tmp_path, config)
    opened = open_report(write_report(run))  # nothing but a config
    assert "Not finished: 0 of 18" in shown(opened, "#headline")[0]
    begun = [
        events.run_started(),
        events.baselines(),
        events.started("t1"),
        events.reached("t1", 1 / 3, 0.25),
    ]
    opened = open_report(write(run, *begun))
    assert marks(opened, "trials") == 1
    assert "0.6000 ± 0.0100" in " ".join(shown(opened, "#finalists + p"))
    assert "in progress" in shown(opened, ".run")[0]
    opened = open_report(write(run, Interrupted()))
    assert "interrupted" in shown(opened, ".run")[0]
    assert opened.complaints == []


@pytest.mark.slow
def test_a_thousand_trials_stay_light(tmp_path: Path, open_report: Callable[..., Opened]) -> None:
    run = synthetic_run(tmp_path / "run", 1000)
    path = write_report(run)
    assert path.stat().st_size < 5_000_000
    opened = open_report(path)
    _, record = run.load()
    assert marks(opened, "trials") == sum(one.last is not None for one in record.trials.values())
    assert opened.page.locator("#table tbody tr").count() == len(record.trials)
    assert opened.complaints == []


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no run"):
        write_report(RunDirectory(tmp_path))


def test_hidden_tasks_have_a_table_and_what_it_decides(
    config: RunConfig, record: Record, confirmation: Confirmation
) -> None:
    own = on_task(confirmation)
    there = [on_task(moved(confirmation, -0.2), "first"), on_task(without_gap(confirmation), "second")]
    page = render(config, record, result(record, own, hidden_part(record, own, there)))
    section = page.partition('<h2 id="hidden">')[2].partition("<h2 id=")[0]
    for said in (
        "On 1 of 2 hidden tasks the best",
        "<bdi>first</bdi>",
        "<bdi>second</bdi>",
        "no gap",
        "+0.100",
    ):
        assert said in section
    assert page.index('<h2 id="hidden">') < page.index('<h2 id="finalists">')
    headline = page.partition('id="headline"')[2].partition("</p>")[0]
    assert ">On 1 of 2 hidden tasks the best is not shown to beat the naive baseline: +0.100" in headline
    assert "On the task of the search: " in headline
    [tile] = [one for one in page.split('<div class="tile">') if one.startswith("<dt>over naive, hidden")]
    assert "hidden task; p = " in tile
    alone = render(config, record, result(record, own))
    assert '<h2 id="hidden">' not in alone
    assert "over naive, hidden" not in alone


def test_several_searched_tasks_have_a_table_of_their_own(
    config: RunConfig, record: Record, confirmation: Confirmation
) -> None:
    apart = [on_task(moved(confirmation, by), f"task{i}") for i, by in enumerate((-0.1, 0.0, 0.1, 0.2))]
    page = render(
        config.model_copy(
            update={"tasks": tuple(SearchedTask(name=one.task, task=config.task) for one in apart)}
        ),
        record,
        result(record, over_tasks(apart), tasks=tasks_part(record, apart)),
    )
    section = page.partition('<h2 id="searched">')[2].partition("<h2 id=")[0]
    for said in (
        "The best over naive: +0.200 on task0, +0.300 on task1, +0.400 on task2, +0.500 on task3",
        "On a further task of the kind it would gain -0.11 to +0.81 (95%)",
        '<td class="n" data-label="task3"><data value="0.5">0.500</data>',
        "+0.350",
    ):
        assert said in section
    assert "mean over the test splits of 4 tasks" in page
    assert 'href="#searched"' in page
    alone = render(config, record, result(record, on_task(confirmation)))
    assert '"searched"' not in alone
    assert "#searched" not in alone


def test_a_finalist_that_was_not_confirmed_on_a_hidden_task_has_a_row(
    config: RunConfig, record: Record, confirmation: Confirmation
) -> None:
    (first, _), *others = confirmation.finalists
    fewer = replace(confirmation, finalists=others, missing=[(first, "it needs pairs")])
    hidden = hidden_part(record, on_task(confirmation), [on_task(fewer, "there")])
    page = render(config, record, result(record, on_task(confirmation), hidden))
    section = page.partition('<h2 id="hidden">')[2].partition("<h2 id=")[0]
    assert section.count("not run") == 1
    assert "was not confirmed on there: it needs pairs" in section
