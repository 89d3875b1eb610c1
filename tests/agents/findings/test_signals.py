import re
from collections.abc import Callable

from agents.findings.digest import trial_line
from agents.findings.findings import Findings, TrialFinding
from agents.findings.signals import LABEL_SIGNALS, SIGNALS, explained, label_signals, trial_signals
from trainers.trial.label_quality import LabelQuality

LABELS = LabelQuality(kept=0.9, balance=0.5, predictable=0.8, consistent=0.7)


def test_every_number_of_a_trials_line_is_explained(
    campaign: Callable[..., Findings], tried: Callable[..., TrialFinding]
) -> None:
    trial = tried("t1", 0.3).model_copy(
        update={"balance": 0.5, "agreement": 0.8, "steadiness": 0.9, "labels": LABELS}
    )
    line = trial_line(campaign(trials=(trial,)), trial)
    shown = re.findall(r", ([a-z1 ]+) \d\.\d\d", line)
    assert shown == [signal.name for signal in (*SIGNALS, *LABEL_SIGNALS)]
    said = explained()
    assert all(f"* {name}: " in said for name in shown)


def test_signals_are_fields_of_what_holds_them() -> None:
    assert {signal.field for signal in SIGNALS} <= TrialFinding.model_fields.keys()
    assert {signal.field for signal in LABEL_SIGNALS} == LabelQuality.model_fields.keys()


def test_plain_weak_labels_have_nothing_to_tell(tried: Callable[..., TrialFinding]) -> None:
    plain = LabelQuality(kept=1, balance=0.5)
    trial = tried("t1", 0.3).model_copy(update={"labels": plain})
    assert list(label_signals(trial)) == []
    assert dict(label_signals(trial.model_copy(update={"labels": LABELS})))["predictable"] == 0.8
    assert dict(trial_signals(trial))["balance"] == trial.balance
