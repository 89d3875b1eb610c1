import csv
from collections.abc import Callable

from agents.findings.findings import BranchFinding, Findings, TrialFinding
from agents.findings.tree.tables import branches_csv, curves_csv, trials_csv
from agents.language.proposal import Branch


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_campaign_as_tables(
    campaign: Callable[..., Findings], branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> None:
    found = campaign(
        branches=[
            BranchFinding(branch=branch("a"), round=1, live=True),
            BranchFinding(branch=branch("b", 0.5, parent="a"), round=2, live=False),
        ],
        trials=(
            tried("t1", 0.25, stop=1 / 3),
            tried("t2", 0.5, aux=0.6, predictions="ffee"),
            tried("t3", None, cause='Diverged, "nan"\nat once'),
        ),
    )
    first, second = rows(branches_csv(found))
    assert (first["branch"], first["trials"], first["completed"], first["failed"]) == ("a", "3", "2", "1")
    assert (first["best_pgr"], first["best_se"]) == ("0.5", "0.05")
    assert (second["parent"], second["has_methods_left"], second["best_pgr"]) == ("a", "no", "")
    trials = rows(trials_csv(found))
    assert [trial["trial"] for trial in trials] == ["t2", "t1", "t3"]
    assert trials[0]["method"] == "loss logconf (aux 0.6, warmup 0.1, threshold weak_mean)"
    assert (trials[1]["stop"], trials[2]["pgr"]) == ("0.3333", "")
    assert trials[2]["cause"] == 'Diverged, "nan" at once'
    assert "ffee" not in trials_csv(found)
    curve = [row for row in rows(curves_csv(found, "a")) if row["trial"] == "t2"]
    assert [(row["share"], row["pgr"]) for row in curve] == [("0.3333", "0.4"), ("1", "0.5")]
    assert rows(curves_csv(found, "b")) == []
