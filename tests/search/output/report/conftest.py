"""A browser for reports, and the report of a made-up run."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.output.report.report import write_report
from search.storage.run_directory import RunDirectory
from tests.small_runs.chromium import CHROMIUM_ARGUMENTS, DESKTOP, Opened
from tests.small_runs.synthetic import synthetic_run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def open_report(browser: Any) -> Iterator[Callable[..., Opened]]:
    """open_report(path, **context): the report in a fresh offline context; complaints are gathered."""
    contexts = []

    def open_it(path: Path, **changes: Any) -> Opened:
        context = browser.new_context(**({"viewport": DESKTOP, "offline": True} | changes))
        contexts.append(context)
        opened = Opened(page=context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("dialog", lambda dialog: (opened.complaints.append("dialog"), dialog.dismiss()))
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        opened.page.goto(path.as_uri())
        return opened

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = synthetic_run(tmp_path_factory.mktemp("forty"), 40)
    write_report(run)
    return run
