import pytest

from search.config.seeds import ConfirmConfig


def test_each_seed_of_a_confirmation_has_a_supervisor_of_its_own_by_default() -> None:
    assert ConfirmConfig(seeds=7).fresh_supervisors == 7
    assert ConfirmConfig(seeds=7, supervisors=2).fresh_supervisors == 2


def test_a_supervisor_without_a_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="supervisors must be at most seeds, 3, got 4: each needs a seed"):
        ConfirmConfig(seeds=3, supervisors=4)
