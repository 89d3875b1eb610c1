"""Methods that a search is likely to try: what is known of its price before it begins. Pure."""

import math

from agents.language.space import sample_methods
from agents.playbook.literature import literature
from search.config.schema import RunConfig
from trainers.method import Abilities, Method

METHODS_OF_A_BRANCH = 4  # that are priced: its first combinations of components


def likely_methods(config: RunConfig, abilities: Abilities | None = None) -> list[Method]:
    """The config's methods, or such as a search will try: of its own branches and the playbook's first ones.

    What an agent will propose nobody knows; the playbook stands for it. abilities: what methods can count on,
    where the config's are not to be asked of the strong model.
    """
    if config.methods:
        return [method for own in config.own_branches for method in sample_methods(own, config.naive)]
    branches = config.branches
    rounds = math.ceil(config.search.trials / config.search.round_trials)
    spaces = [*branches, *literature(config.naive)][: max(len(branches), rounds * config.agent.branches)]
    abilities = abilities or config.abilities
    found = []
    for branch in spaces:
        methods = zip(range(METHODS_OF_A_BRANCH), sample_methods(branch, config.naive), strict=False)
        found += [method for _, method in methods if method.refused(abilities) is None]
    return found or [config.naive]


def offered(config: RunConfig) -> Abilities:
    """What methods can count on, as far as no model must be asked, which takes seconds."""
    return Abilities(
        prior=True,
        intermediates=len(config.intermediates),
        pairs=config.task.has_pairs,
        panel=config.weak.panel.size > 1,
    )
