"""The tools that list, read and search the files of a campaign; what they show is bounded by the tree."""

from typing import Annotated

from pydantic import Field

from agents.claude.prompting import unmarked
from agents.findings.tree.tree import Tree
from trainers.component import Frozen


def _record(text: str) -> str:
    """A text as data: nothing in it can pass for the end of the record."""
    return f"<record>\n{unmarked(text)}\n</record>"


First = Annotated[int, Field(description="the line to begin with, from 1; a long answer says where to go on")]


class ListFiles(Frozen):
    """Lists what is in a folder of this campaign's files; "" is the top. README.txt there explains them."""

    folder: str
    first: First


def list_files(tree: Tree, query: ListFiles) -> str:
    """The folder's files and folders, a line each."""
    return _record(tree.list(query.folder, query.first))


class ReadFile(Frozen):
    """Reads a file, such as trials/index.csv, from a line on."""

    path: str
    first: First


def read_file(tree: Tree, query: ReadFile) -> str:
    """The file's lines."""
    return _record(tree.read(query.path, query.first))


class SearchFiles(Frozen):
    """Finds the lines that hold a text, in any case, in a folder and all below it, or in one file."""

    text: str
    folder: Annotated[str, Field(description='where to look; "" is everywhere')]
    first: First


def search_files(tree: Tree, query: SearchFiles) -> str:
    """Path, line number and line of each hit."""
    return _record(tree.search(query.text, query.folder, query.first))
