"""A read-only tree of text files, each made when it is read. Nothing of it lies on a disk.

So a path can only name a file of the tree: there is nothing outside it to escape to. What a call shows is
bounded in lines and in characters, and says where to go on.
"""

from collections.abc import Callable, Iterator, Mapping

from trainers.printable import one_line, printable

File = Callable[[], str]

LINES = 80  # of a call
CHARS = 5600  # of a call
LINE_CHARS = 600  # a longer line goes on in the next one, so that nothing of it is lost
SHOWN_CHARS = 240  # of a line that a search found
LONGEST_NEEDLE = 200


class Tree:
    """Files by path, such as `branches/index.csv`; thread-safe if the files are."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = dict(sorted(files.items()))

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def list(self, folder: str, first: int = 1) -> str:
        """The files and folders in a folder, a line each, from the `first` on; "" is the top.

        Raises ValueError if there is no such folder.
        """
        place = _plain(folder)
        inside = [path.removeprefix(place) for path in self._files if path.startswith(place)]
        if not inside:
            raise ValueError(f"there is no folder {_shown(folder)}; {self._top()}")
        counts: dict[str, int] = {}
        for path in inside:
            name, slash, _ = path.partition("/")
            counts[name + slash] = counts.get(name + slash, 0) + 1
        lines = [f"{name} ({count} files)" if name.endswith("/") else name for name, count in counts.items()]
        return _page(lines, first)

    def read(self, path: str, first: int = 1) -> str:
        """The lines of a file from line `first` on; raises ValueError if there is no such file."""
        place = _plain(path).removesuffix("/")
        if place not in self._files:
            folder = any(other.startswith(f"{place}/") for other in self._files)
            kind = "is a folder, which list_files shows" if folder else f"is no file; {self._top()}"
            raise ValueError(f"{_shown(path)} {kind}")
        return _page(list(_lines(self._files[place]())), first)

    def search(self, text: str, folder: str = "", first: int = 1) -> str:
        """The lines below a folder, or of a file, that hold a text in any case: path, line number and line.

        Raises ValueError for an empty or long text and where there is no such folder or file.
        """
        needle = text.casefold()
        if not needle.strip() or len(needle) > LONGEST_NEEDLE:
            raise ValueError(f"text must have 1 to {LONGEST_NEEDLE} characters, got {len(needle)}")
        place = _plain(folder)
        inside = [path for path in self._files if path.startswith(place) or f"{path}/" == place]
        if not inside:
            raise ValueError(f"there is no folder {_shown(folder)}; {self._top()}")
        found = [
            f"{path}:{number}: {' '.join(line.split())[:SHOWN_CHARS]}"
            for path in inside
            for number, line in enumerate(_lines(self._files[path]()), start=1)
            if needle in line.casefold()
        ]
        return _page(found, first) if found else f"no line holds {_shown(text)}"

    def _top(self) -> str:
        names = dict.fromkeys("".join(path.partition("/")[:2]) for path in self._files)
        return f"at the top are {', '.join(list(names)[:16])}" if names else "the tree is empty"


def _plain(folder: str) -> str:
    """A folder as the paths of its files begin; "" for the top."""
    parts = [part for part in folder.strip().split("/") if part not in ("", ".")]
    return "".join(f"{part}/" for part in parts)


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        for start in range(0, max(1, len(line)), LINE_CHARS):
            yield line[start : start + LINE_CHARS]


def _page(lines: list[str], first: int) -> str:
    """As many lines from the `first` on as a call shows; then which they were, if there are others."""
    start = min(max(1, first), len(lines)) - 1
    shown: list[str] = []
    for line in lines[start : start + LINES]:
        if shown and sum(map(len, shown)) + len(shown) + len(line) > CHARS:
            break
        shown.append(printable(line))
    end = start + len(shown)
    if start == 0 and end == len(lines):
        return "\n".join(shown)
    on = f"; go on from line {end + 1}" if end < len(lines) else ""
    return "\n".join([*shown, f"[lines {start + 1} to {end} of {len(lines)}{on}]"])


def _shown(text: str) -> str:
    return repr(one_line(text[:80]))
