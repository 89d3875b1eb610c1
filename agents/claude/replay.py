"""Proposes what the transcripts of another run proposed: repeats a campaign without key or network."""

from pathlib import Path

from agents.claude.lanes import joined
from agents.claude.transcript import Concluded, Noted, Opened, read_transcript, rounds_folder, transcript_name
from agents.findings.findings import Findings
from agents.findings.round_proposal import LaneReport, Note, RoundProposal
from agents.language.proposal import Proposal
from agents.playbook.fallback import playbook_proposal
from agents.playbook.playbook import Playbook


class Replay:
    """Replays each round's recorded lanes; the playbook proposes where they have no valid branch.

    path: a run's directory, or its folder of rounds. The replay does not depend on the findings, so this
    campaign may refuse a replayed branch. Raises ValueError if there is no transcript or one cannot be read.
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

    def propose(self, findings: Findings) -> RoundProposal:
        """The recorded proposal of the findings' round."""
        lanes = self._rounds.get(findings.round, [])
        whole = joined([(lane.lane, lane.proposal) for lane in lanes if lane.proposal], findings)
        reports = tuple(
            LaneReport(
                lane=lane.lane,
                direction=lane.direction,
                source="replay",
                branches=tuple(whole.branches.get(lane.lane, ())),
                refused=lane.refused + tuple(whole.refused.get(lane.lane, ())),
                why=lane.why,
            )
            for lane in lanes
        )
        notes = tuple(
            Note(round=findings.round, lane=lane.lane, text=text) for lane in lanes for text in lane.notes
        )
        if whole.proposal.branches:
            return RoundProposal(proposal=whole.proposal, lanes=reports, notes=notes)
        why = f"the transcripts hold no branch of round {findings.round} that can run here"
        stand_in = playbook_proposal(self._playbook, findings, why)
        return RoundProposal(proposal=stand_in.proposal, lanes=(*reports, *stand_in.lanes), notes=notes)


class _Recorded:
    """The last conversation in a transcript; a crash ended the earlier ones."""

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
