"""What an exported method learns from: the transfer inputs, with the labels of one weak supervisor."""

from dataclasses import dataclass

import numpy as np

from search.config.schema import RunConfig
from search.workers.inputs import Training, read_inputs, trainings
from search.workers.loading import Loaded
from search.workers.preparation import materials
from trainers.cache import Arrays, load_arrays, save_arrays
from trainers.training.inputs import Floats
from trainers.trial.baselines import train_baseline
from trainers.trial.panels import pooled
from trainers.trial.workbench import Materials


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What a training gets. weak: P(class 1) of its one supervisor on the transfer split, float32 [n]."""

    materials: Materials
    weak: Floats

    @property
    def spread(self) -> Floats | None:
        """How far the models of the supervisor differ, float32 [n]; None of a single model."""
        found = self.materials.weak_spread
        return None if found is None else np.asarray(found[0], dtype=np.float32)


def learning(config: RunConfig, loaded: Loaded, supervisor: int) -> Learning:
    """The inputs, and the labels that every trial of this supervisor's seeds learned.

    Its models' predictions are taken from the cache; a model whose are gone is trained again, right here,
    on the ground truth of weak_train, which is all that it ever learns.
    """
    inputs = read_inputs(config, loaded.task)
    size, pooling = config.weak.panel.size, config.weak.panel.pooling
    first = config.first_seed + supervisor * size
    models = [
        _predicted(config, training)
        for training in trainings(config, loaded.weights, inputs.data)
        if training.job.role == "weak" and training.job.seed in range(first, first + size)
    ]
    weak = pooled(models, size, pooling)
    said = np.asarray(weak.supervisors[0]["transfer"], dtype=np.float32)
    return Learning(materials=materials(config, loaded.task, inputs, weak), weak=said)


def _predicted(config: RunConfig, training: Training) -> Arrays:
    """What a weak model predicts, of every split."""
    if (cached := load_arrays(training.path)) is None:
        cached = train_baseline(training.job, training.data, config.cache_dir)
        save_arrays(training.path, cached)
    return cached
