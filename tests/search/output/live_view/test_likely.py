from search.config.schema import RunConfig
from search.output.live_view.likely import likely_methods, offered


def test_likely_methods_can_run_here(config: RunConfig) -> None:
    methods = likely_methods(config)
    assert len({method.digest for method in methods}) > 4
    assert [method.refused(config.abilities) for method in methods] == [None] * len(methods)


def test_named_methods_are_the_likely_ones(config: RunConfig) -> None:
    settings = config.model_dump(mode="json") | {"methods": ["confidence-loss"]}
    found = likely_methods(RunConfig.model_validate(settings))
    assert {method.loss.kind for method in found} == {"logconf"}


def test_what_a_generated_model_offers_is_known_without_asking_it(config: RunConfig) -> None:
    assert offered(config) == config.abilities
