"""A table of methods that is two where the terminal is narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

METHOD = 23  # columns of a method's name there, so that 80 do
MEASURED = 1000  # columns that a table is measured in


@dataclass(frozen=True, kw_only=True)
class FittingTable:
    """A table of methods; two below each other, without lines, where the terminal is narrower than it.

    first: the columns of the upper one then. rows: names of methods, and a cell for each of the columns.
    """

    title: str
    columns: Sequence[str]
    first: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table that fits."""
        whole = self._of(self.columns, Table(title=self.title, title_justify="left"))
        wide = options.update(max_width=MEASURED)
        if Measurement.get(console, wide, whole).maximum <= options.max_width:
            yield whole
            return
        first = [column for column in self.columns if column in self.first]
        rest = [column for column in self.columns if column not in self.first]
        yield Text(self.title, style="italic")
        for columns in (first, rest):
            yield self._of(columns, Table(box=None, pad_edge=False), METHOD)

    def _of(self, columns: Sequence[str], table: Table, width: int | None = None) -> Table:
        table.add_column("method", max_width=width, no_wrap=True, overflow="ellipsis")
        for column in columns:
            table.add_column(Text(column), justify="right")
        places = [self.columns.index(column) for column in columns]
        for name, cells in self.rows:
            table.add_row(Text(name), *(cells[place] for place in places))
        return table
