"""An opponent of `benchmarks.versus_tune`: a search as its parts' documentation suggests to write it.

    python -m benchmarks.versus_tune.stock CONFIG --trials N --out FILE.json [--set key=value ...]

Ray Tune with a function trainable, OptunaSearch over a define-by-run space, ASHA, and in each trial a
transformers Trainer with DeepSpeed that reports its accuracy on the search split from a callback. The space
is that of the first proposal, with the branch as one more parameter. Methods, models and data are the
project's own, and so are losses and the choice of examples: a user would have written the same formulas.
Reports come at the same rungs as in the project's search. A probe is a frozen body with a trained head. The
trial with the highest last accuracy wins; where ASHA stopped it, it is the method that stops there.
"""

import math
import os
import socket
import tempfile
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.versus_tune.opponent import confirmable, run
from benchmarks.versus_tune.space import NINTHS, WORKERS, Space
from search.config.schema import RunConfig
from search.scoring.grader import Grader
from search.workers.loading import load
from search.workers.preparation import prepare
from trainers.method import Method
from trainers.models.pool import Classifier, ModelPool


class WithLoss(nn.Module):
    """The student as Trainer calls it; a layer, where only the head is trained on that layer's features."""

    def __init__(self, classifier: Classifier, layer: int | None) -> None:
        super().__init__()
        self.classifier, self.layer = classifier, layer
        if layer is not None:
            classifier.body.requires_grad_(False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits [b, 2]."""
        if self.layer is None:
            logits: torch.Tensor = self.classifier(input_ids, attention_mask)
            return logits
        with torch.no_grad():
            features = self.classifier.features(input_ids, attention_mask, layer=self.layer)
        read: torch.Tensor = self.classifier.head(features)
        return read


def prepare_process() -> None:
    """What DeepSpeed needs of a process that is alone, and no compiler on a CPU."""
    import deepspeed

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    torch.set_num_threads(1)


def train(settings: dict[str, Any], config: RunConfig, materials: Any, truth: Any) -> None:
    """One trial: a fresh model, a Trainer, and a report at every rung."""
    prepare_process()
    from ray import tune
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from trainers.components.losses import example_losses
    from trainers.components.selection import plan
    from trainers.components.students import Probe
    from trainers.components.targets import make_targets
    from trainers.components.weak_labels import Evidence
    from trainers.trial.model_data import ModelData

    method = Method.model_validate_json(settings["method"])
    seed = config.search_seed()
    weak = materials.weak_probs[materials.supervisor(seed)]
    pool = ModelPool(config.strong.model, cache=config.cache_dir)

    def features() -> Any:
        return ModelData(pool, materials.tokens).features("transfer", pool.layer_at(1.0)).numpy()

    nothing: Any = None
    evidence = Evidence(weak_probs=weak, features=features, prior=nothing, seed=seed)
    targets = make_targets(method.label_steps, evidence)
    weights = plan(method.select, evidence, targets).phases[0].weights
    rows = np.flatnonzero(weights)
    layer = pool.layer_at(method.student.layer) if isinstance(method.student, Probe) else None
    model = WithLoss(pool.fresh(seed), layer)
    tokens, optim = materials.tokens, method.optim
    total = max(1, round(optim.epochs * math.ceil(len(rows) / optim.batch_size)))
    due = {max(1, math.ceil(total * ninth / 9)): ninth for ninth in NINTHS}
    started = time.perf_counter()

    def collate(batch: list[int]) -> dict[str, torch.Tensor]:
        ids, mask = tokens["transfer"].pad_batch(np.array(batch), pool.pad_id)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "targets": torch.from_numpy(targets[batch]),
            "weights": torch.from_numpy(weights[batch]),
        }

    class WeightedTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            logits = model(inputs["input_ids"], inputs["attention_mask"])
            losses = example_losses(method.loss, logits, inputs["targets"], self.state.global_step / total)
            return (losses * inputs["weights"]).mean()

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step in due:
                accuracy = evaluate(kwargs["model"])
                tune.report(
                    {
                        "accuracy": accuracy,
                        "ninths": due[state.global_step],
                        "train_s": time.perf_counter() - started,
                    }
                )

    @torch.no_grad()
    def evaluate(model: Any) -> float:
        model.eval()
        right = 0
        for at in range(0, len(truth), 64):
            batch = np.arange(at, min(at + 64, len(truth)))
            ids, mask = tokens["search"].pad_batch(batch, pool.pad_id)
            right += int((model(ids, mask).argmax(dim=1).numpy() == truth[batch]).sum())
        model.train()
        return right / len(truth)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=optim.batch_size,
            max_steps=total,
            learning_rate=optim.lr,
            lr_scheduler_type=optim.schedule,
            warmup_steps=round(optim.warmup * total),
            weight_decay=optim.weight_decay,
            adam_beta1=optim.beta1,
            adam_beta2=optim.beta2,
            max_grad_norm=optim.clip,
            seed=seed,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            log_level="error",
            logging_strategy="no",
            remove_unused_columns=False,
            deepspeed={
                "train_micro_batch_size_per_gpu": "auto",
                "gradient_accumulation_steps": "auto",
                "gradient_clipping": "auto",
                "zero_optimization": {"stage": 0},
            },
        )
        data: Any = [int(row) for row in rows]
        trainer = WeightedTrainer(
            model, arguments, data_collator=collate, train_dataset=data, callbacks=[Report()]
        )
        assert trainer.is_deepspeed_enabled
        trainer.train()


def search(config: RunConfig, trials: int) -> dict[str, Any]:
    """The whole search: its wall seconds, what every trial came to, and the best method."""
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    prepared = prepare(config, load(config), lambda done, total: None)
    truth, _ = prepared.search
    floors = Grader(prepared.search, prepared.test).baselines()
    trainable = tune.with_parameters(train, config=config, materials=prepared.materials, truth=truth)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": config.trial.cpus, "gpu": config.trial.needs.gpus}),
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                search_alg=OptunaSearch(Space(config), metric="accuracy", mode="max", seed=config.seed),
                scheduler=ASHAScheduler(time_attr="ninths", max_t=9, grace_period=1, reduction_factor=3),
                num_samples=trials,
                max_concurrent_trials=WORKERS,
            ),
            run_config=tune.RunConfig(name="search", storage_path=folder, verbose=0),
        )
        started = time.perf_counter()
        results = tuner.fit()
        wall = time.perf_counter() - started
        best = results.get_best_result("accuracy", "max")
        assert best.metrics is not None
        assert best.config is not None
        method = Method.model_validate_json(best.config["method"])
        metrics = [results[i].metrics or {} for i in range(len(results))]
        rows = [row for row in metrics if "accuracy" in row]
    return {
        "wall_s": wall,
        "search_wall_s": wall,
        "start_s": 0.0,  # every trial starts a process
        "trials": trials,
        "failed": len(results.errors),
        "stopped_early": sum(row["ninths"] < NINTHS[-1] for row in rows),
        "train_s": sum(row["train_s"] for row in rows),
        **confirmable(
            method.stopped_at(best.metrics["ninths"] / NINTHS[-1]), best.metrics["accuracy"], floors
        ),
    }


if __name__ == "__main__":
    from benchmarks.versus_tune import stock  # by its name, so that workers import what they are to run

    run(stock.search, stock.__doc__)
