"""The report at the widths of a desktop, a phone and paper: nothing is cut, and the table can be searched."""

from collections.abc import Callable

import pytest

from search.storage.run_directory import RunDirectory
from tests.small_runs.chromium import DESKTOP, PHONE, Opened

pytestmark = pytest.mark.slow


def shown(opened: Opened, selector: str) -> list[str]:
    return list(opened.page.locator(selector).evaluate_all("all => all.map(one => one.innerText)"))


# What is wider than its place, or lies over another text. Rows of axes may show fewer labels than they have.
MISPLACED = """() => {
  const wide = [...document.querySelectorAll('main :not(g)')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && !one.closest('.scroll, pre') && (box.right > innerWidth + 1 || box.left < -1);
  }).map(one => one.outerHTML.slice(0, 120));
  const cut = [...document.querySelectorAll('.scroll')].filter(one => one.checkVisibility())
    .filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => one.getAttribute('aria-label'));
  const over = [...document.querySelectorAll('figure svg')].flatMap(svg => {
    const texts = [...svg.querySelectorAll('.role-axis-label text, .role-legend-label text')]
      .filter(one => one.checkVisibility({opacityProperty: true}) && one.getAttribute('opacity') !== '0')
      .map(one => [one.textContent, one.getBoundingClientRect()]);
    return texts.flatMap(([a, first], i) => texts.slice(i + 1).filter(([, second]) =>
      first.left < second.right - 1 && second.left < first.right - 1 &&
      first.top < second.bottom - 3 && second.top < first.bottom - 3).map(([b]) => `${a} over ${b}`));
  });
  return [wide, cut, over];
}"""


# Lines of text, of the whole page, that lie beyond their place or over another; and how many lines there are.
TEXTS = """() => {
  const lines = [], walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const one = node.parentElement;
    if (!node.data.trim() || one.closest('option, [opacity="0"]')) continue;
    if (!one.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects())
      if (box.width >= 1) lines.push({text: node.data.trim().slice(0, 60), box, one});
  }
  const cut = lines.filter(({box, one}) => {
    const place = one.closest('.scroll, pre')?.getBoundingClientRect() ?? {left: 0, right: innerWidth};
    return box.right > place.right + 1 || box.left < place.left - 1;
  }).map(line => line.text);
  const over = [];
  lines.sort((a, b) => a.box.top - b.box.top).forEach((a, i) => {
    for (let k = i + 1; k < lines.length && lines[k].box.top < a.box.bottom - 4; k++) {
      const b = lines[k];
      if (a.one !== b.one && a.box.left < b.box.right - 2 && b.box.left < a.box.right - 2)
        over.push(`${b.text} over ${a.text}`);
    }
  });
  return [cut, over, lines.length];
}"""
PAPER = {"width": 720, "height": 1000}  # of a page of A4
PLACES = {
    "desktop": (DESKTOP, ("light", "dark", "print")),
    "phone": (PHONE, ("light", "dark", "print")),
    "paper": (PAPER, ("print",)),
}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_cut_or_lies_over_something_else(
    forty: RunDirectory, open_report: Callable[..., Opened], place: str
) -> None:
    """Of the whole page, with all that is folded unfolded."""
    viewport, kinds = PLACES[place]
    opened = open_report(forty.report, viewport=viewport)
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for media in kinds:
        opened.page.emulate_media(media="print" if media == "print" else "screen")
        opened.page.emulate_media(color_scheme="dark" if media == "dark" else "light")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], media
        assert opened.page.evaluate(MISPLACED) == [[], [], []], media
        cut, over, lines = opened.page.evaluate(TEXTS)
        assert (cut, over) == ([], []), media
        assert lines > 500


def test_the_check_of_the_page_finds_what_is_wrong(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report, viewport=PHONE)
    opened.page.add_style_tag(content=".headline { white-space: nowrap; } .note { margin-top: -1.5em; }")
    cut, over, _ = opened.page.evaluate(TEXTS)
    assert any("of the performance gap" in text for text in cut)
    assert over


def test_no_word_of_the_table_of_trials_is_broken(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    """A cell of one word is one line high, on a desktop and on a phone."""
    for viewport in (DESKTOP, PHONE):
        opened = open_report(forty.report, viewport=viewport)
        opened.page.evaluate("document.getElementById('all-trials').open = true")
        heights = opened.page.locator("#table tbody td:not(.wordy)").evaluate_all(
            "all => all.filter(one => !/[ -]/.test(one.innerText)).map(one => one.offsetHeight)"
        )
        assert len(heights) > 200
        assert max(heights) < 45 or viewport is DESKTOP  # there a row is as high as its highest cell
        lines = opened.page.locator("#table tbody td bdi").evaluate_all(
            "all => all.filter(one => !/[ -]/.test(one.innerText)).map(one => one.getClientRects().length)"
        )
        assert set(lines) <= {1}


def test_the_table_of_trials_sorts_and_filters(
    forty: RunDirectory, open_report: Callable[..., Opened]
) -> None:
    opened = open_report(forty.report)
    _, record = forty.load()
    opened.page.locator("nav a[href='#all-trials']").click()
    assert opened.page.locator("#table").is_visible()
    names = "#table tbody tr:not([hidden]) td:first-child"
    best = [(one.best_pgr, one.trial) for one in record.trials.values() if one.best_pgr is not None]
    opened.page.locator("#table th button", has_text="PGR").click()
    assert shown(opened, names)[0] == max(best)[1]
    assert shown(opened, names)[-1] not in {name for _, name in best}  # what has no PGR comes last
    opened.page.locator("#table th button", has_text="PGR").click()
    assert shown(opened, names)[0] == min(best)[1]
    assert opened.page.locator("#table th[aria-sort=ascending]").inner_text().startswith("PGR")
    opened.page.locator("#state").select_option("failed")
    assert shown(opened, names) == [one.trial for one in record.trials.values() if one.state == "failed"]
    assert shown(opened, "#shown")[0] == f"1 of {len(record.trials)} trials"
    opened.page.locator("#state").select_option("")
    opened.page.locator("#words").fill("LOGCONF made-up-branch-1")
    rows = shown(opened, "#table tbody tr:not([hidden])")
    assert rows
    assert all("logconf" in row and "made-up-branch-1" in row for row in rows)
    assert opened.complaints == []
