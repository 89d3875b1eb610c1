import re

import pytest

from agents.findings.tree.tree import CHARS, LINE_CHARS, LINES, SHOWN_CHARS, Tree


@pytest.fixture
def tree() -> Tree:
    files = {
        "README.txt": lambda: "what is where",
        "trials/t2.txt": lambda: "loss logconf\naux 0.5",
        "trials/t1.txt": lambda: "loss gce\nfailed: LogConf was not tried",
        "trials/deep/er.txt": lambda: "",
    }
    return Tree(files)


def test_a_folder_is_listed_with_the_size_of_its_folders(tree: Tree) -> None:
    assert tree.list("") == "README.txt\ntrials/ (3 files)"
    assert tree.list("/trials/") == tree.list("./trials") == "deep/ (1 files)\nt1.txt\nt2.txt"


def test_a_file_is_read_from_a_line_on(tree: Tree) -> None:
    assert tree.read("trials/t2.txt") == "loss logconf\naux 0.5"
    assert tree.read("/trials/t2.txt", 2) == "aux 0.5\n[lines 2 to 2 of 2]"
    assert tree.read("trials/t2.txt", 10**9) == "aux 0.5\n[lines 2 to 2 of 2]"
    assert tree.read("trials/t2.txt", -5) == "loss logconf\naux 0.5"
    assert tree.read("trials/deep/er.txt") == ""


def test_a_search_finds_lines_in_any_case_below_a_folder_or_in_a_file(tree: Tree) -> None:
    hits = "trials/t1.txt:2: failed: LogConf was not tried\ntrials/t2.txt:1: loss logconf"
    assert tree.search("LOGCONF") == tree.search("logconf", "trials") == hits
    assert tree.search("logconf", "trials/t2.txt") == "trials/t2.txt:1: loss logconf"
    assert tree.search("(a+)+$") == "no line holds '(a+)+$'"


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "trials/../../ledger.jsonl",
        "trials/..",
        "~",
        "trials\\t1.txt",
        "\x00",
    ],
)
def test_there_is_nothing_outside_the_tree(tree: Tree, path: str) -> None:
    for look in (tree.list, tree.read, lambda folder: tree.search("a", folder)):
        with pytest.raises(ValueError, match=r"at the top are README\.txt, trials/"):
            look(path)


def test_a_folder_is_no_file(tree: Tree) -> None:
    with pytest.raises(ValueError, match="'trials' is a folder, which list_files shows"):
        tree.read("trials")


@pytest.mark.parametrize("text", ["", " \n", "x" * 201])
def test_a_search_is_for_something(tree: Tree, text: str) -> None:
    with pytest.raises(ValueError, match="text must have 1 to 200 characters"):
        tree.search(text)


def test_pages_are_bounded_and_nothing_is_lost_between_them() -> None:
    text = "\n".join(f"{number} {'x' * (3 * number)}" for number in range(300))
    tree = Tree({"big.txt": lambda: text})
    read, first = "", 1
    while first:
        page = tree.read("big.txt", first)
        *lines, last = page.split("\n")
        assert len(lines) <= LINES
        assert len(page) <= CHARS + 80
        assert max(map(len, lines)) <= LINE_CHARS
        read += "\n".join(lines) + "\n"
        on = re.search(r"go on from line (\d+)", last)
        first = int(on[1]) if on else 0
    assert read.replace("\n", "") == text.replace("\n", "")


def test_a_search_with_many_hits_is_bounded_too() -> None:
    tree = Tree({f"{number:04d}.txt": lambda: "needle " + "x" * 1_000 for number in range(500)})
    page = tree.search("needle")
    assert len(page) <= CHARS + 80
    assert max(map(len, page.split("\n"))) <= SHOWN_CHARS + 20
    assert "of 500; go on from line" in page
    assert len(tree.list("")) <= CHARS + 80


def test_a_tree_may_be_empty() -> None:
    with pytest.raises(ValueError, match="the tree is empty"):
        Tree({}).list("")


def test_what_a_file_holds_cannot_move_a_cursor() -> None:
    assert Tree({"a": lambda: "x\x1b[2J\ty"}).read("a") == "x?[2J?y"
