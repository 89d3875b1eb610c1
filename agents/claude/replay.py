"""Proposes what the transcripts of another run hold: a campaign again, without key or network."""

from pathlib import Path

from agents.claude.lanes import joined
from agents.claude.transcript import Concluded, Noted, Opened, read_transcript, rounds_folder, transcript_name
from agents.findings.answer import Answer, LaneReport, Note
from agents.findings.findings import Findings
from agents.language.proposal import Proposal
from agents.playbook.fallback import playbook_answer
from agents.playbook.playbook import Playbook


class Replay:
    """Each round's lanes as they were written down; the playbook where they brought nothing.

    path: a run's directory, or its folder of rounds. Nothing in it depends on the findings, so a replayed
    branch can be one that this campaign refuses. Raises ValueError where there is no transcript, or one
    cannot be read.
    """

    def __init__(self, path: Path, *, branches: int, seed: int) -> None:
        self._playbook = Playbook(branches=branches, seed=seed)
        self._rounds: dict[int, list[_Recorded]] = {}
        for file in sorted(rounds_folder(path).glob("[0-9]*/" + transcript_name("*"))):
            if file.parent.name.isdecimal():
                self._rounds.setdefault(int(file.parent.name), []).append(_Recorded(file))
        if not self._rounds:
            raise ValueError(
                f"agent.path {path}: holds no transcript of a round; name the directory of a run"
            )

    def propose(self, findings: Findings) -> Answer:
        """The recorded proposal of the findings' round."""
        lanes = self._rounds.get(findings.round, [])
        whole = joined([(one.lane, one.proposal) for one in lanes if one.proposal], findings)
        reports = tuple(
            LaneReport(
                lane=one.lane,
                direction=one.direction,
                source="replay",
                branches=tuple(whole.branches.get(one.lane, ())),
                refused=one.refused + tuple(whole.refused.get(one.lane, ())),
                why=one.why,
            )
            for one in lanes
        )
        notes = tuple(
            Note(round=findings.round, lane=one.lane, text=text) for one in lanes for text in one.notes
        )
        if whole.proposal.branches:
            return Answer(proposal=whole.proposal, lanes=reports, notes=notes)
        why = f"the transcripts hold no branch of round {findings.round} that can run here"
        stand_in = playbook_answer(self._playbook, findings, why)
        return Answer(proposal=stand_in.proposal, lanes=(*reports, *stand_in.lanes), notes=notes)


class _Recorded:
    """The last exchange in a transcript; earlier ones were cut short by a crash."""

    def __init__(self, file: Path) -> None:
        self.lane = file.stem.removeprefix("transcript-")
        self.direction = ""
        self.notes: list[str] = []
        self.proposal: Proposal | None = None
        self.refused: tuple[str, ...] = ()
        self.why: str | None = None
        for entry in read_transcript(file):
            match entry:
                case Opened():
                    self.direction = entry.direction
                    self.notes, self.proposal, self.refused, self.why = [], None, (), None
                case Noted():
                    self.notes.append(entry.text)
                case Concluded():
                    self.proposal, self.refused, self.why = entry.proposal, entry.refused, entry.why
                case _:
                    pass
