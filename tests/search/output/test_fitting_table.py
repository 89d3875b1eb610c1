"""A table of methods that is two where the terminal is narrow."""

from io import StringIO

import pytest
from rich.console import Console

from search.output.fitting_table import FittingTable

TABLE = FittingTable(
    title="what it is",
    columns=("PGR", "p", "seeds"),
    first=("PGR", "seeds"),
    rows=[("naive", ("0.25", "", "5")), ("a-name-of-more-columns-than-there-are", ("0.75", "0.01", "7"))],
)


@pytest.mark.parametrize(("width", "tables"), [(120, 1), (40, 2)])
def test_every_cell_stands_under_its_column(width: int, tables: int) -> None:
    out = StringIO()
    Console(file=out, width=width).print(TABLE)
    shown = out.getvalue()
    assert shown.startswith("what it is")
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("naive") == tables
    rows = [line.replace("│", " ").split()[1:] for line in shown.splitlines() if "a-name" in line]
    assert rows == ([["0.75", "0.01", "7"]] if tables == 1 else [["0.75", "7"], ["0.01"]])


def test_a_name_of_a_column_is_no_markup() -> None:
    out = StringIO()
    table = FittingTable(title="t", columns=("[red]x",), first=("[red]x",), rows=[("naive", ("1",))])
    Console(file=out, width=80).print(table)
    assert "[red]x" in out.getvalue()
