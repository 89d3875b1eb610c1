"""Size of report.html, seconds to write it and milliseconds until a browser has laid it out.

    python -m benchmarks.report [--trials 40 1000]

Made-up runs of each size (tests/small_runs/synthetic.py). A browser is timed where Chromium and playwright
are installed: from opening the file, in a fresh page, until two frames after its load event.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from search.cli.output import stdout_for_json, write_json
from search.output.report.report import write_report
from tests.small_runs.chromium import CHROMIUM_ARGUMENTS
from tests.small_runs.synthetic import synthetic_run

LAID_OUT = """() => new Promise(done => requestAnimationFrame(() =>
    requestAnimationFrame(() => done(performance.now()))))"""


def measure(trials: int, repeats: int) -> dict[str, Any]:
    """One size."""
    with tempfile.TemporaryDirectory() as folder:
        run = synthetic_run(Path(folder) / "run", trials)
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            path = write_report(run)
            seconds.append(time.perf_counter() - started)
        return {
            "trials": trials,
            "bytes": path.stat().st_size,
            "write_s": round(statistics.median(seconds), 2),
            "browser_ms": browser_ms(path, repeats),
        }


def browser_ms(page: Path, repeats: int) -> int | None:
    """Milliseconds until the page is laid out at a desktop's width; None without a browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        times = []
        for _ in range(repeats):
            tab = browser.new_page(viewport={"width": 1100, "height": 900})
            tab.goto(page.as_uri())
            times.append(tab.evaluate(LAID_OUT))
            tab.close()
        browser.close()
    return round(statistics.median(times))


@stdout_for_json()
def main() -> None:
    """Print one JSON object a size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for trials in options.trials:
        write_json(measure(trials, options.repeats))


if __name__ == "__main__":
    main()
