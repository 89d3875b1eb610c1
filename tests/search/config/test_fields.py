from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from agents.prices import Price
from agents.settings import ClaudeConfig
from search.config.fields import Group, Setting, groups, members, model_at
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.policy.pruning import PruningConfig
from trainers.component import Frozen

GROUPS = groups()
SETTINGS = [setting for group in GROUPS for setting in group.settings]


def group(title: str) -> Group:
    [found] = [group for group in GROUPS if group.title == title]
    return found


def setting(title: str, name: str) -> Setting:
    [found] = [setting for setting in group(title).settings if setting.name == name]
    return found


def test_every_setting_says_what_it_means() -> None:
    assert {setting.place for setting in SETTINGS if not setting.is_kind and not setting.description} == set()
    for setting in SETTINGS:
        assert "\n" not in setting.description


def test_a_fragment_becomes_a_sentence() -> None:
    class Written(Frozen):
        """Settings whose descriptions are written in three ways."""

        rate: Annotated[float, Field(description="peak learning rate")] = 0.1
        kind_of_number: Annotated[str, Field(description="bf16: half of the bits; fp32: all")] = "fp32"
        trials: Annotated[int, Field(description="Methods to try. At least one.")] = 1
        silent: int = 0

    [written] = groups(Written)
    assert [setting.description for setting in written.settings] == [
        "Peak learning rate.",
        "bf16: half of the bits; fp32: all.",
        "Methods to try. At least one.",
        "",
    ]


def test_every_group_says_what_it_is() -> None:
    assert {group.title for group in GROUPS if len(group.about) < 20} == set()


def test_a_group_for_each_kind_of_a_union() -> None:
    titles = [group.title for group in GROUPS if group.place == "agent"]
    assert titles == ["agent.kind: playbook", "agent.kind: claude", "agent.kind: replay"]
    assert group("task.fields (pair)").kind == "pair"
    assert group("search.pruning").kind is None


def test_a_group_that_two_kinds_share_is_there_once() -> None:
    assert [group.title for group in GROUPS].count("task.splits") == 1


def test_defaults_bounds_and_choices() -> None:
    assert setting("search.pruning", "rungs").default == "[0.111111, 0.333333, 1]"
    assert setting("search", "trials").default is None
    assert setting("trial", "gpus").default == "0"
    assert setting("trial", "gpus").allowed == "0 to 64 or null"
    assert setting("tracking", "kind").choices == ("off", "offline", "online")
    assert setting("trial", "elastic").default == "false"
    assert setting("", "cache").default == "~/.cache/weak-to-strong-search"


def test_groups_values_and_what_may_be_either() -> None:
    either = {s.place: (s.is_group, s.is_value) for s in SETTINGS}
    assert either["search.pruning"] == (True, False)
    assert either["search.trials"] == (False, True)
    assert either["agent.prices"] == (True, True)  # a group, or null
    assert either["intermediates"] == (False, True)  # no dotted name reaches into a list


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ((), RunConfig),
        (("search",), SearchConfig),
        (("search", "pruning"), PruningConfig),
        (("agent", "claude"), ClaudeConfig),
        (("agent", "claude", "prices"), Price),
        (("agent",), None),  # of a union, the kind is missing
        (("agent", "gpt"), None),
        (("serch", "pruning"), None),
        (("seed", "x"), None),
        ((0,), None),
    ],
)
def test_the_class_at_a_path_of_an_error(path: tuple[int | str, ...], model: type[BaseModel] | None) -> None:
    assert model_at(RunConfig, path) is model


def test_a_path_into_a_list() -> None:
    found = model_at(RunConfig, ("intermediates", 1, "toy"))
    assert found is members(RunConfig.model_fields["intermediates"].annotation)["toy"]


def test_members_of_an_annotation() -> None:
    class Plain(Frozen):
        """Without a kind."""

    assert members(int | None) == {}
    assert members(Plain | None) == {"Plain": Plain}
    assert members(tuple[Plain, ...]) == {"Plain": Plain}
