from collections.abc import Callable

from agents.findings.findings import BranchFinding, Findings, Refusal, TrialFinding
from agents.findings.notebook import Notebook
from agents.findings.round_proposal import Note
from agents.findings.tree.campaign import EarlierRun, campaign_tree, folder_names
from agents.language.proposal import Branch


def test_a_campaign_and_the_one_before_it_as_files(
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    tried: Callable[..., TrialFinding],
    told: tuple[Note, Refusal],
) -> None:
    known = [BranchFinding(branch=branch("a"), round=1, live=True, importance=(("loss.logconf.aux", 1.0),))]
    found = campaign(
        branches=known, trials=(tried("t1", 0.5, predictions="ffee"),), notes=told[:1], refused=told[1:]
    )
    notebook = Notebook(found.notes, found.round)
    before = EarlierRun(name="../sst 2", about="reviews, 20 to 300 MB", findings=found)
    tree = campaign_tree(found, notebook, [before, before], {"notes/kept.txt": lambda: "kept"})
    top = tree.list("").split("\n")
    assert top == [
        "README.txt",
        "branches/ (2 files)",
        "curves/ (1 files)",
        "earlier-runs/ (16 files)",
        "notes/ (3 files)",
        "refused.txt",
        "tasks/ (1 files)",
        "trials/ (2 files)",
    ]
    assert tree.list("earlier-runs") == "sst-2-2/ (8 files)\nsst-2/ (8 files)"
    assert "reviews, 20 to 300 MB" in tree.read("earlier-runs/sst-2/tasks/search.txt")
    assert "Weak floor 0.6000 ± 0.0100, ceiling 0.9000 ± 0.0100" in tree.read("tasks/search.txt")
    assert "entropy 0.00 bits" in tree.read("tasks/search.txt")
    shown = tree.read("branches/a.txt")
    assert "loss: logconf(aux 0.2 to 1)" in shown
    assert "what mattered: a: loss.logconf.aux 1.00" in shown
    assert "t1 0.50 ± 0.05" in shown
    assert '"aux": 0.5' in tree.read("trials/t1.txt")
    assert tree.read("notes/round-001.txt") == "lane 2: logconf falls over at low share"
    assert tree.read("refused.txt") == "round 1: branches[1]: holds the same methods as the branch x"
    assert tree.read("notes/round-002.txt") == "no note"
    notebook.add("1", "of this round")
    assert tree.read("notes/round-002.txt") == "lane 1: of this round"
    assert tree.search("ffee") == "no line holds 'ffee'"


def test_names_of_folders_are_plain_and_differ() -> None:
    names = ["dev", "dev", "../..", "a/b c", "x" * 99, "dev-2"]
    assert folder_names(names) == ["dev", "dev-2", "unnamed", "a-b-c", "x" * 64, "dev-2-2"]
