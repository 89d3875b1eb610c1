"""Runs a single stage of a trial: a training by gradients, or an evolution."""

from collections.abc import Iterator, Sequence

from trainers.components.staging.refine import Evolve
from trainers.components.students import Student
from trainers.training.evolution import evolve
from trainers.training.loop import Recipe, fit
from trainers.training.orders import Asked
from trainers.training.session import Event
from trainers.training.settings import EngineConfig
from trainers.trial.stage_runner import StageRunner


def run_stage(
    runner: StageRunner,
    place: int,
    student: Student,
    learn: Asked,
    shares: Sequence[float],
    engine: EngineConfig,
    events: list[Event],
    losses: list[float],
    engines: list[str],
    *,
    ends: bool,
) -> Iterator[float]:
    """Train or evolve the student of a stage; yields its shares as `training.loop.fit`, and raises the same.

    place: of the stage. learn: the transfer inputs; for an evolution of pairs, in both orders. events: those
    that happen are added. losses: before a share, the training losses since the last one are added, as means.
    engines: the name of what trains is added.
    ends: whether the trial ends at the last share.
    """
    stage, method = runner.stages[place], runner.method
    seed, checkpoint = runner.seed_of(stage), runner.checkpoint_of(place)
    if stage.evolves and isinstance(method.refine, Evolve):
        return evolve(
            student,
            method.refine,
            method.student,
            learn.shown,
            shares,
            swapped=learn.swapped,
            rate=runner.rate,
            seed=seed,
            engine=engine,
            ends=ends,
            checkpoint=checkpoint,
        )
    learned = runner.targets(stage)
    recipe = Recipe(plan=learned.plan, loss=method.loss, optim=method.optim, engine=engine, seed=seed)
    return fit(
        student.module,
        student.parameters,
        learn.shown,
        learned.targets,
        recipe,
        shares,
        ends=ends,
        evidence=learned.evidence,
        checkpoint=checkpoint,
        on_event=events.append,
        on_losses=losses.extend,
        on_engine=engines.append,
    )
