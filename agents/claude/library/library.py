"""What the lanes of a campaign may look up beside its findings; part of it stands in their instructions."""

from collections.abc import Sequence
from functools import partial

from agents.claude.library.kept_notes import KeptNotes
from agents.claude.library.papers import Paper, papers_section
from agents.claude.prompting import filled, unmarked
from agents.findings.findings import Findings, shown_pgr
from agents.findings.notebook import Notebook
from agents.findings.tree.campaign import EarlierRun, campaign_tree, folder_names
from agents.findings.tree.tree import File, Tree

NEWEST = 12  # notes of other campaigns in the instructions


class Library:
    """The tree of files of each round, and what the instructions say about it.

    earlier: campaigns that came before. notes: those that other campaigns left, None for none. papers: texts
    that a person has given.
    """

    def __init__(
        self,
        earlier: Sequence[EarlierRun] = (),
        notes: KeptNotes | None = None,
        papers: Sequence[Paper] = (),
    ) -> None:
        self._earlier = tuple(earlier)
        self._notes = notes
        self._papers = tuple(papers)
        self.section = self._section() + papers_section(papers)

    def tree(self, findings: Findings, notebook: Notebook) -> Tree:
        """The files that a lane of this round browses."""
        more: dict[str, File] = {f"reading/{paper.name}": partial(_text, paper) for paper in self._papers}
        if self._notes:
            more["notes/kept.txt"] = self._kept
        return campaign_tree(findings, notebook, self._earlier, more)

    def keep(self, notebook: Notebook) -> None:
        """Keep the notes of a round for other campaigns, if that was asked for."""
        if self._notes:
            self._notes.keep(notebook.new)

    def _kept(self) -> str:
        notes = reversed(self._notes.of_others if self._notes else ())
        return "\n".join(map(str, notes)) or "no note of another campaign"

    def _section(self) -> str:
        """The instructions' section; the same through the whole campaign, so that a cache can hold it."""
        lines = []
        for name, run in zip(folder_names([run.name for run in self._earlier]), self._earlier, strict=True):
            best = next((shown_pgr(trial) for trial in run.findings.best_trials(n=1)), "no PGR")
            lines.append(
                f"earlier-runs/{name}: {run.about}; {len(run.findings.trials)} trials, best {best} of search"
            )
        if self._notes and (kept := self._notes.of_others):
            lines.append(f"notes/kept.txt: {len(kept)} notes of other campaigns, the newest of them")
            lines += [f"  {note}" for note in reversed(kept[-NEWEST:])]
        record = "\n".join(["", "<record>", *map(unmarked, lines), "</record>", ""]) if lines else ""
        return filled("files.md", record=record)


def _text(paper: Paper) -> str:
    return paper.text
