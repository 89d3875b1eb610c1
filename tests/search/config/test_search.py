import pytest
from pydantic import ValidationError

from search.config.search import SearchConfig


def test_a_search_is_limited_by_trials_and_by_a_share_of_their_training() -> None:
    found = SearchConfig(trials=8, round_trials=4)
    assert found.limits == {"trials": 8, "effort": 0.25, "max_s": None}
    assert (found.sampler, found.supervisors, found.coarsen) == ("surrogate", "shared", 0.0)


def test_hours_are_seconds_of_training() -> None:
    assert SearchConfig(trials=8, round_trials=4, max_hours=1.5).limits["max_s"] == 5400


@pytest.mark.parametrize(
    "settings", [{"trials": 0}, {"effort": 0.0}, {"effort": 1.1}, {"max_hours": 0.0}, {"sampler": "grid"}]
)
def test_what_no_search_can_have_is_refused(settings: dict[str, object]) -> None:
    (place,) = settings
    with pytest.raises(ValidationError, match=place):
        SearchConfig.model_validate({"trials": 8, "round_trials": 4, **settings})
