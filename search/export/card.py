"""The texts beside an exported model: its card, and the method as a config to run again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from search.config.load import dump_config
from search.config.schema import RunConfig
from search.export.choice import Chosen
from search.ledger.record import Record
from trainers.data.settings import DatasetTask, ToyTask
from trainers.method import SLOTS, Method
from trainers.printable import one_line

LAST = "hidden[range(len(hidden)), batch.attention_mask.sum(1) - 1]"
EXAMPLE_LINE = {
    False: '{"text": "…"}',
    True: '{"prompt": "…", "first": "…", "second": "…"}',
}  # of pairs: True
READS = {"last": LAST, "cls": "hidden[:, 0]", "mean": "(hidden * mask).sum(1) / mask.sum(1)"}


def card(
    config: RunConfig, record: Record, chosen: Chosen, about: Mapping[str, Any], agreement: float | None
) -> str:
    """README.md of an exported folder. about: the content of its export.json.

    agreement: the share of the recorded predictions that the folder gives; None where none are recorded.
    """
    parts = [
        f"# {one_line(config.name)}: the method {chosen.name}",
        "A strong model trained on the labels of a weaker one (weak-to-strong generalization).",
        _facts(config, record, chosen, agreement),
        "\n".join(["## What was measured", "", *numbers(record, chosen)]),
        "## To load it\n\n" + _to_load(about),
        "## The method\n\n```json\n" + json.dumps(changed(chosen), indent=2) + "\n```\n\n"
        "What is not named has its default. `method.yaml` is a config that trains it again.",
        _digests(record),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def changed(chosen: Chosen) -> dict[str, Any]:
    """The slots of a method that differ from a plain fine-tuning, with their settings."""
    method, plain = chosen.method, Method()
    named = [slot for slot in SLOTS if getattr(method, slot) != getattr(plain, slot)]
    return {
        slot: getattr(method, slot).model_dump() for slot in SLOTS if slot in {*named, "student", "optim"}
    }


def _facts(config: RunConfig, record: Record, chosen: Chosen, agreement: float | None) -> str:
    splits = config.task.splits
    assert record.started is not None
    rows = [
        ("task", _task(config, chosen)),
        ("strong model", _named(config.strong.model)),
        ("weak supervisor", f"{_named(config.weak.model)}, {config.weak.student.kind}"),
        ("P(class 1)", f"the probability that {class_one(config.task)}"),
        ("trained on", f"{splits.transfer} transfer inputs, weak labels alone"),
        ("seed", f"{chosen.seed}, weak supervisor {config.supervisor(chosen.seed)}"),
        ("run", f"{record.started.run}, code {record.started.commit or 'unknown'}"),
        ("searched", _searched(record)),
    ]
    if agreement is not None:
        rows.append(
            (
                "recorded predictions",
                f"this folder gives {agreement:.2%} of those on the {chosen.split} split",
            )
        )
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows)])


def _task(config: RunConfig, chosen: Chosen) -> str:
    data = _named(config.task)
    if not chosen.task:
        return data
    return f"{chosen.task} ({data}): the first of the search's {len(config.tasks)} tasks, the one exported"


def class_one(task: DatasetTask | ToyTask) -> str:
    """What P(class 1) is the probability of, by the name that the data give to class 1."""
    if task.has_pairs:
        return "the second response is the better one"
    if isinstance(task, ToyTask):
        return "the review is positive"
    if task.labels is None:
        return "the label is 1"
    names = [json.dumps(name, ensure_ascii=False) for name, of in task.labels.items() if of == 1]
    return f"the label is {' or '.join(names)}"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def _named(settings: Any) -> str:
    path = getattr(settings, "path", None)
    revision = getattr(settings, "revision", None)
    return f"{path or settings.kind}{f' at {revision}' if revision else ''}"


def _searched(record: Record) -> str:
    counts = ", ".join(f"{record.ended(state)} {state}" for state in ("completed", "pruned", "failed"))
    return f"branches: {len(record.branches)}, rounds: {record.rounds}, trials: {counts}"


def numbers(record: Record, chosen: Chosen) -> list[str]:
    """Accuracies and PGR, a sentence each: of the confirmation if it was there, else of its search trial.

    Of several searched tasks those of the exported one, and in a sentence the mean over all.
    """
    of_task = f" of {chosen.task}" if chosen.task else ""
    lines = []
    if chosen.row is not None:
        lines += _confirmed(chosen.row, chosen.seed, of_task)
    elif chosen.rung is not None and chosen.rung.pgr is not None:
        pgr = f"{chosen.rung.pgr:.3f} ± {chosen.rung.se:.3f}"
        lines.append(
            f"Performance gap recovered: {pgr} on the search split{of_task}, one seed. That split chose "
            "among the methods, so it flatters the best of them."
        )
    if chosen.over_tasks is not None:
        lines.append(_over_tasks(chosen.over_tasks, len(record.baselines.tasks) if record.baselines else 0))
    if chosen.openings:
        lines.append(one_line(f"{chosen.openings[0].upper()}{chosen.openings[1:]}."))
    if (floor := record.baselines) is not None:
        of_it = next((each for each in floor.tasks if each.name == chosen.task), floor)
        weak = f"{of_it.weak_acc:.4f} ± {of_it.weak_se:.4f}"
        ceiling = f"{of_it.ceiling_acc:.4f} ± {of_it.ceiling_se:.4f}"
        lines.append(
            f"On the search split{of_task} the weak supervisors are right {weak} of the time, the strong "
            f"model trained on ground truth {ceiling}."
        )
    return lines


def _confirmed(row: Mapping[str, Any], seed: int, of_task: str) -> list[str]:
    """What result.json says of a method on the test split of a task."""
    seeds = f"{row['seeds']} seeds, test split{of_task}"
    lines = [f"Accuracy {row['accuracy']:.4f} ± {row['accuracy_se']:.4f} ({seeds})."]
    if row["pgr"] is not None:
        lines.append(f"Performance gap recovered: {_with_interval(row)} ({seeds}).")
    own = [outcome for outcome in row["per_seed"] if outcome["seed"] == seed]
    lines += [f"This model's own seed: accuracy {outcome['accuracy']:.4f}." for outcome in own]
    if "beats_naive_p" in row:
        against = f"Against the naive baseline{' on this task' if of_task else ''}"
        lines.append(f"{against}: p = {row['beats_naive_p']:.2g} (one-sided).")
    return lines


def _over_tasks(row: Mapping[str, Any], tasks: int) -> str:
    pgr = "" if row["pgr"] is None else f", performance gap recovered {_with_interval(row)}"
    p = f", p against naive {row['beats_naive_p']:.2g}" if "beats_naive_p" in row else ""
    return (
        f"The method was searched on {tasks} tasks, and trained on each by itself. The mean over their test "
        f"splits: accuracy {row['accuracy']:.4f} ± {row['accuracy_se']:.4f}{pgr}{p}."
    )


def _with_interval(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{row['pgr']:.3f} ± {row['se']:.3f}, 95% interval {low:.3f} to {high:.3f}"


def _to_load(about: Mapping[str, Any]) -> str:
    """Five lines with this folder's predict.py, and where one model suffices, with transformers alone."""
    example = EXAMPLE_LINE[about["pairs"]]
    lines = [
        "```python",
        "import sys; sys.path.insert(0, FOLDER)",
        "from predict import as_examples, load",
        f"load(FOLDER).probabilities(as_examples([{example}]))  # P(class 1), float32 [n]",
        "```",
        "",
        f"`python predict.py FILE.jsonl` prints the same, a line for each line of the file ({example}).",
    ]
    if len(about["members"]) > 1:
        out = f", {about['left_out']} at either end left out" if about["left_out"] else ""
        return "\n".join(
            [
                *lines,
                "",
                f"{len(about['members'])} models answer by the {about['aggregate']} of their log-odds{out}.",
            ]
        )
    if about["pairs"] or about["template"]:
        note = "The text around an example is part of the method: predict.py puts it there."
        return "\n".join([*lines, "", note])
    return "\n".join(
        [*lines, "", "With transformers and peft alone:", "", "```python", *_plain(about), "```"]
    )


def _plain(about: Mapping[str, Any]) -> list[str]:
    """Lines that load one model of single texts without predict.py."""
    body = ["body = AutoModel.from_pretrained(FOLDER)"]
    base = about["base"]
    where = (
        "FOLDER" if base is None else repr(base["path"]) if base["path"] else f'FOLDER + "/{base["folder"]}"'
    )
    if base is not None:
        revision = f", revision={base['revision']!r}" if base["revision"] else ""
        body = [f"body = AutoModel.from_pretrained({where}{revision})"]
    adapter = []
    if about["student"] == "lora":
        adapter = ["from peft import PeftModel"]
        body.append("body = PeftModel.from_pretrained(body, FOLDER)")
    layer = about["layer"]
    last = layer is None
    return [
        "from safetensors.torch import load_file",
        "from transformers import AutoModel, AutoTokenizer",
        *adapter,
        "tokenizer, head = AutoTokenizer.from_pretrained(FOLDER), load_file(FOLDER + '/head.safetensors')",
        *body,
        "batch = tokenizer(TEXTS, padding=True, truncation=True, padding_side='right', return_tensors='pt')",
        "output = body(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True)",
        "hidden = output.last_hidden_state" if last else _hidden(layer, about),
        *(["mask = batch.attention_mask.unsqueeze(-1)"] if about["pool"] == "mean" else []),
        f"logits = {READS[about['pool']]} @ head['weight'].T + head['bias']",
        "probabilities = logits.softmax(dim=1)  # of class 0 and class 1",
    ]


def _hidden(layer: int, about: Mapping[str, Any]) -> str:
    return (
        "hidden = output.last_hidden_state"
        if layer == about["depth"]
        else f"hidden = output.hidden_states[{layer}]"
    )


def _digests(record: Record) -> str:
    """The digests of inputs and weights; those of ground truth stay in the ledger."""
    if record.started is None or record.started.sources is None:
        return ""
    digests = record.started.sources.digests
    rows = [f"| {name} | `{value}` |" for name, value in digests.items() if not name.endswith(".truth")]
    commits = [f"| {name} | commit `{value}` |" for name, value in record.started.sources.commits.items()]
    return "\n".join(["## Digests of data and weights", "", "| | |", "|---|---|", *rows, *commits])


def method_config(config: RunConfig, chosen: Chosen) -> str:
    """The run's config with this method alone to train; of naive, which every run trains, as it is.

    Without hidden tasks: nothing that is exported learned from them, and where they lie is the run's alone.
    """
    settings = yaml.safe_load(dump_config(config.model_copy(update={"hidden": ()})))
    method, naive = chosen.method, config.naive
    slots = {slot: getattr(method, slot) for slot in SLOTS if getattr(method, slot) != getattr(naive, slot)}
    if slots:
        record = {slot: component.model_dump(mode="json") for slot, component in slots.items()}
        settings["branches"] = []  # searched, and a config has one of the two
        settings["methods"] = [{"name": "exported", **record}]
    return yaml.safe_dump(settings, sort_keys=False)


def write_texts(
    folder: Path,
    config: RunConfig,
    record: Record,
    chosen: Chosen,
    about: Mapping[str, Any],
    agreement: float | None,
) -> None:
    """Write README.md and method.yaml."""
    (folder / "README.md").write_text(card(config, record, chosen, about, agreement), encoding="utf-8")
    (folder / "method.yaml").write_text(method_config(config, chosen), encoding="utf-8")
