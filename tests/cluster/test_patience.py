import pytest

from cluster.patience import Patience, WaitTooLongError


def test_a_wait_is_told_twice_as_late_each_time_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    patience = Patience("a node", 1000, "faults.cluster_limit_s", "add it", lambda: now)
    for second in range(1001):
        now = float(second)
        patience.check()
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(", for ")[2].partition(" now")[0] for line in told] == [
        "30 s", "60 s", "120 s", "240 s", "480 s", "960 s",
    ]  # fmt: skip
    assert told[0] == "waiting for a node, for 30 s now; the run ends after faults.cluster_limit_s (1000 s)"
    now = 1001
    with pytest.raises(WaitTooLongError, match=r"^a node did not come within .* \(1000 s\); add it$"):
        patience.check()
