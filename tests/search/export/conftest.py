from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from agents.findings.predictions import pack
from search.config.learners import LearnerConfig, SupervisorConfig
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import BaselineConfig, ConfirmConfig, ReplicationConfig
from search.export.learning import learning
from search.ledger.events import Finished, RungReached, RunStarted, TrialEnded, TrialStarted
from search.ledger.log import Ledger
from search.output.result import write_result
from search.storage.run_directory import RunDirectory, new_run
from search.workers.loading import load
from search.workers.sources import sources
from trainers.components.labels import Median
from trainers.components.optim import Adamw
from trainers.components.repairs import Propagate
from trainers.components.selection import Confidence
from trainers.components.staging.members import Ensemble
from trainers.components.students import Lora
from trainers.data.examples import Examples, Task
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.toy_task import load_toy
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import ToyModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.inputs import Floats
from trainers.training.settings import EngineConfig
from trainers.training.weights import TrainedWeights
from trainers.trial.kept_models import keeper, kept_weights
from trainers.trial.workbench import Intermediate, Materials, Workbench

OPTIM = Adamw(lr=3e-3, epochs=2, batch_size=16)
SPLITS = SplitSizes(weak_train=80, transfer=96, search=40, test=60)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A run on 96 transfer examples of the offline task, two confirmation seeds."""
    return RunConfig(
        name="small",
        task=ToyTask(splits=SPLITS),
        weak=SupervisorConfig(model=ToyModel(size="weak"), optim=Adamw(lr=1e-2, epochs=3, batch_size=16)),
        strong=LearnerConfig(model=ToyModel(size="strong", pretrain_steps=20), optim=OPTIM),
        baselines=BaselineConfig(seeds=2),
        search=SearchConfig(trials=2, round_trials=2),
        replication=ReplicationConfig(methods=1, seeds=1),
        confirm=ConfirmConfig(finalists=1, seeds=2),
        cache=str(tmp_path_factory.mktemp("cache")),
    )


@pytest.fixture(scope="session")
def task(small: RunConfig) -> Task:
    """Its examples."""
    return load_toy(small.task)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Trained:
    """What the trainers made of a method: answers to the test inputs, and each member's weights."""

    config: RunConfig
    weak: Floats
    learn: Examples
    asked: Examples
    probs: Floats
    spread: Floats
    members: list[TrainedWeights]


@pytest.fixture(scope="session")
def trained(small: RunConfig, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """trained(method, pairs=..., readout=..., model=...): with seed 3, on labels right 80% of the time."""
    warm_up(EngineConfig())

    def train(
        method: Method,
        *,
        pairs: bool = False,
        readout: str = "head",
        model: Any = small.strong.model,
        panel: bool = False,
        smaller: Sequence[Any] = (),
        engine: EngineConfig = small.engine,
    ) -> Trained:
        model = model.model_copy(update={"readout": readout})
        strong = small.strong.model_copy(update={"model": model})
        config = small.model_copy(
            update={"strong": strong, "intermediates": tuple(smaller), "engine": engine}
        )
        learn, asked = (
            _as_pairs(task.inputs[split]) if pairs else task.inputs[split] for split in ("transfer", "test")
        )
        rng = np.random.default_rng(0)
        right = rng.random(len(learn)) < 0.8
        weak = np.where((task.truth["transfer"] == 1) == right, 0.7, 0.3) + rng.uniform(
            -0.15, 0.15, len(learn)
        )
        inputs: Any = {"transfer": learn, "test": asked}

        def rendered(by: Any) -> dict[str, Any]:
            swapped = {split: render(by, of.exchanged()) for split, of in inputs.items()} if pairs else {}
            return {"tokens": {split: render(by, of) for split, of in inputs.items()}, "swapped": swapped}

        spread = rng.uniform(0, 0.3, (1, len(learn))).astype(np.float32)
        materials = Materials(
            weak_spread=spread if panel else None,
            weak_probs=weak.astype(np.float32)[None],
            questions=ask(model, learn),
            intermediates=tuple(Intermediate(model=by, **rendered(by)) for by in smaller),
            **rendered(model),
        )
        bench = Workbench(materials, ModelPool(model, cache=config.cache_dir), config.engine)
        folder = tmp_path_factory.mktemp("kept")
        *_, report = bench.train(method, seed=3, split="test", rungs=(1.0,), keep=keeper(folder))
        return Trained(
            config,
            materials.weak_probs[0],
            learn,
            asked,
            report.predictions,
            spread[0],
            kept_weights(folder),
        )

    return train


def _as_pairs(examples: Examples) -> Examples:
    """Pairs of neighbouring reviews; which is better is of no matter here."""
    others = (*examples.texts[1:], examples.texts[0])
    return replace(
        examples, texts=("",) * len(examples), pairs=tuple(zip(examples.texts, others, strict=True))
    )


ENSEMBLE = Method(student=Lora(rank=2), optim=OPTIM, members=Ensemble(count=2), select=Confidence(share=0.5))
REPAIRED = Method(
    labels=Median(),
    repair=Propagate(k=5),
    select=Confidence(share=0.5, balanced=True),
    student=Lora(rank=4),
    optim=Adamw(lr=1e-2, epochs=4, batch_size=16),
)


@pytest.fixture(scope="session")
def finished(small: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished run of two finalists, c1 an ensemble, c2 repaired labels; answers-TRIAL.npy has answers."""
    run = new_run(tmp_path_factory.mktemp("finished") / "run", small)
    loaded = load(small)
    seed = small.confirm_seeds()[0]
    learned = learning(small, loaded, small.supervisor(seed))
    bench = Workbench(learned.materials, ModelPool(small.strong.model, cache=small.cache_dir), small.engine)
    ledger = Ledger(run.ledger)
    found = sources(small, loaded, {}, "00" * 16)
    ledger.append(RunStarted(run="run", config_sha256=small.sha256, commit="", sources=found))
    for name, method in (("c1", ENSEMBLE), ("c2", REPAIRED)):
        *_, report = bench.train(method, seed=seed, split="test", rungs=(1.0,))
        np.save(run.path / f"answers-{name}.npy", report.predictions)
        given = {"trial": name, "purpose": "confirm", "branch": "best", "number": None}
        took = {"setup_s": report.setup_s, "train_s": report.train_s, "eval_s": report.eval_s}
        classes = pack(report.predictions > np.float32(0.5))
        ledger.append(TrialStarted(**given, method=method, seed=seed))  # type: ignore[arg-type]
        ledger.append(RungReached(trial=name, share=1.0, predictions=classes, **took))  # type: ignore[arg-type]
        ledger.append(TrialEnded(trial=name, state="completed", cause=None))
    ledger.append(Finished())
    ledger.close()
    row = {
        "method": ENSEMBLE.model_dump(),
        "accuracy": 0.8,
        "accuracy_se": 0.01,
        "pgr": 0.5,
        "se": 0.05,
        "ci95": [0.4, 0.6],
        "seeds": 2,
        "per_seed": [{"seed": seed, "supervisor": small.supervisor(seed), "accuracy": 0.81}],
        "beats_naive_p": 0.01,
    }
    naive = row | {"method": small.naive.model_dump(), "pgr": 0.1}
    write_result(run.result, {"best": row, "finalists": [row], "naive": naive})
    return run
