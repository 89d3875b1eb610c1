"""The rules of a search in sentences, for whoever proposes: each number is read from the config.

What the sentences say of a rule is what its setting's own description says; both change together.
"""

from collections.abc import Iterator
from pathlib import PurePath

from agents.settings import ClaudeConfig
from search.config.schema import RunConfig
from search.config.search import SAMPLERS
from trainers.data.settings import DatasetTask, ToyTask
from trainers.models.settings import ModelConfig, ToyModel


def rules(config: RunConfig) -> tuple[str, ...]:
    """What runs and how it decides: task, rungs, sampler, seconds, budget, seeds, confirmation."""
    return tuple(
        said
        for paragraph in (
            _task(config),
            _sampler(config),
            _advice(config),
            _rungs(config),
            _seconds(config),
            _rounds(config),
            _seeds(config),
        )
        if (said := " ".join(paragraph))
    )


def branches_a_round(config: RunConfig) -> int:
    """The most branches of a round's proposal, over all lanes."""
    lanes = config.agent.lanes if isinstance(config.agent, ClaudeConfig) else 1
    return config.agent.branches * lanes


def methods_a_branch(config: RunConfig) -> float:
    """New methods of a branch in the round that opens it, if they are shared out evenly."""
    return min(config.search.round_trials, config.search.trials) / branches_a_round(config)


def _task(config: RunConfig) -> Iterator[str]:
    if config.tasks:
        yield (
            f"There are {len(config.tasks)} tasks. A trial is trained on one after another, and its score is "
            "over all of them: what helps on one and hurts on another is worth little."
        )
    for name, one in config.searched.items():
        splits, strong = one.task.splits, _model(one.strong.model)
        yield f"The task{f' {name}' if name else ''}: {_task_name(one.task)}."
        yield f"The weak supervisor is {_supervisor(one)}; the strong student is {strong}."
        yield (
            f"Students learn from {splits.transfer:,} transfer examples; every score of the search is of "
            f"{splits.search:,} other examples, and the test split has {splits.test:,}."
        )
    if config.hidden:
        yield (
            f"There are {len(config.hidden)} hidden tasks that nothing of the search reads. What wins here "
            "is confirmed on them too, and the outcome leads with them: a trick of this data set is worth "
            "little."
        )
    if config.search.coarsen:
        yield f"Scores are rounded to a grid of {config.search.coarsen:g} PGR before anybody sees them."


def _supervisor(config: RunConfig) -> str:
    weak = config.weak
    model = _model(weak.model)
    one = (
        f"a bag of words, split by the tokenizer of {model}" if weak.student.kind == "bag_of_words" else model
    )
    return one if weak.panel.size == 1 else f"a panel of {weak.panel.size}, each {one}"


def _task_name(task: ToyTask | DatasetTask) -> str:
    if isinstance(task, ToyTask):
        return "generated reviews with their verdict"
    return f"{PurePath(task.path).name}, {'preference pairs' if task.has_pairs else 'single texts'}"


def _model(model: ModelConfig) -> str:
    if isinstance(model, ToyModel):
        return f"a small generated model ({model.size})"
    folder = PurePath(model.path)
    return folder.name if folder.is_absolute() else model.path


def _sampler(config: RunConfig) -> Iterator[str]:
    search = config.search
    yield f"What draws the numbers of a branch's next method (search.sampler = {search.sampler}):"
    yield f"{SAMPLERS[search.sampler]}."
    rule = search.promotion.of_trials(search.trials)
    yield (
        "Which trial is trained next, a new method or a paused one, is decided by a Gaussian process over "
        "all methods and stops: the highest expected improvement over the best, per second, among "
        f"{rule.draws} draws; until there are {rule.first} scores, new methods come first."
    )


def _advice(config: RunConfig) -> Iterator[str]:
    agent = config.agent
    if not isinstance(agent, ClaudeConfig):
        return
    if agent.suggestions:
        yield (
            f"Within a round you are asked for draws of your own, shown what that process expects: up to "
            f"{agent.suggestions:.0%} of the search's."
        )
    if agent.critic:
        after = {"return": "comes back to you once, and then is dropped", "drop": "is dropped"}
        yield (
            "Before trials are spent, another model reviews each branch: whether it differs in effect from "
            "what was tried, and whether its ranges hold the value that it argues for. What it refuses "
            f"{after[agent.critic.refused]}."
        )


def _rungs(config: RunConfig) -> Iterator[str]:
    pruning = config.search.pruning
    shares = ", ".join(f"{share:.3g}" for share in pruning.rungs)
    yield (
        f"A trial is judged at these shares of its training: {shares}. Each is a method that may win: a "
        "trial there is the finished trial of the same method with optim.stop at that share of its own. So "
        "a shorter training needs no branch of its own, and the best stop is found for every method."
    )
    yield (
        f"A rung inside the warm-up, or before {pruning.min_steps} optimizer steps, is skipped. At a rung a "
        f"trial outside the best 1/{pruning.keep:g} of its branch stops for good if the probability that it "
        f"equals the lowest of them is at most {pruning.doubt:g}, once {pruning.min_rivals} others of the "
        "branch have been there; the rest pause and may go on later."
    )


def _seconds(config: RunConfig) -> Iterator[str]:
    search = config.search
    yield (
        "Every rule that weighs gain against cost counts seconds, predicted from a method's student, "
        "stages, epochs, repairs and members and corrected by what trials took: cheap methods get more "
        "trials, dear ones must promise more."
    )
    if search.max_hours is not None:
        yield f"The search has {search.max_hours:g} hours of training for at most {search.trials} methods."
    else:
        yield (
            f"The search tries at most {search.trials} methods within {search.effort:.0%} of the seconds "
            "that training all of them to the end would take."
        )


def _rounds(config: RunConfig) -> Iterator[str]:
    search, allocation = config.search, config.search.allocation
    count = -(-search.trials // search.round_trials)
    yield (
        f"A round has {search.round_trials} new methods, the campaign {count} rounds. With "
        f"{branches_a_round(config)} branches a round that is {methods_a_branch(config):.2g} methods for "
        f"each on average. The branch that has had the fewest comes first until each has {allocation.floor}; "
        "then a branch gets more the better its best method is, also in later rounds."
    )


def _seeds(config: RunConfig) -> Iterator[str]:
    supervisors = {
        "shared": "All of them learn from one weak supervisor",
        "alternate": "Each round of branches has another weak supervisor",
    }[config.search.supervisors]
    yield (
        f"A trial of the search has one seed. {supervisors}. The best methods are then trained on up to "
        f"{config.replication.seeds} seeds, each with another supervisor."
    )
    yield (
        f"The {config.confirm.finalists} with the highest lower bounds, no two of which differ in numbers "
        f"only, are confirmed on {config.confirm.seeds} fresh seeds, on supervisors that taught no trial "
        "before and on the test split, beside the naive baseline."
    )
    yield (
        f"Between seeds the PGR of a method is taken to have a standard deviation of "
        f"{config.search.pruning.seed_sd:g}, until this campaign's own seeds say otherwise."
    )
