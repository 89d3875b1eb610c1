import pytest

from cluster.resources import Needs
from search.config.schema import RunConfig
from search.workers import placing
from search.workers.placing import trials_together


@pytest.mark.parametrize(("places", "trials"), [(2, 1), (5, 2), (1, None), (0, None)])
def test_the_processes_of_a_trial_are_placed_together(
    config: RunConfig, places: int, trials: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(needs: Needs, *, at_most: int | None, a_round: int, elastic: bool) -> int:
        return min(places, a_round)

    monkeypatch.setattr(placing, "trials_at_once", at_once)
    gang = config.model_copy(update={"trial": config.trial.model_copy(update={"processes": 2})})
    if trials is None:
        with pytest.raises(ValueError, match=r"^trial\.processes 2 do not fit .* lower trial\.processes or "):
            trials_together(gang)
    else:
        assert trials_together(gang) == trials
