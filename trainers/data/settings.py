"""The settings of a task: a data set or the toy task, its fields and the sizes of its splits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from trainers.component import Frozen

FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "tsv"}
READERS = {f"{end}{packed}": reader for end, reader in FORMATS.items() for packed in ("", ".gz")} | {
    ".parquet": "parquet"
}

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class SplitSizes(Frozen):
    """How many examples each of the four splits holds."""

    weak_train: Annotated[int, Field(ge=1, description="examples that train the weak supervisor")]
    transfer: Annotated[int, Field(ge=1, description="examples that students see with weak labels")]
    search: Annotated[int, Field(ge=1, description="examples that choose and prune methods")]
    test: Annotated[int, Field(ge=1, description="examples opened once, at confirmation")]


class SingleFields(Frozen):
    """The fields of a data set of single texts."""

    text: Annotated[str, Field(description="field with the text")] = "text"
    label: Annotated[str, Field(description="field with the label, 0 or 1")] = "label"
    group: Annotated[
        str | None, Field(description="field with a group; examples of a group stay in one split")
    ] = None


class PairFields(Frozen):
    """The fields of a data set of preference pairs."""

    prompt: Annotated[str | None, Field(description="field with the prompt; null: there is no prompt")] = (
        "prompt"
    )
    chosen: Annotated[str, Field(description="field with the better response")] = "chosen"
    rejected: Annotated[str, Field(description="field with the worse response")] = "rejected"
    group: Annotated[
        str | None, Field(description="field with a group; examples of a group stay in one split")
    ] = None


def _kind_of_fields(value: Any) -> str:
    names = value.keys() if isinstance(value, Mapping) else type(value).model_fields
    return "pair" if {"prompt", "chosen", "rejected"} & set(names) else "single"


Fields = Annotated[
    Annotated[SingleFields, Tag("single")] | Annotated[PairFields, Tag("pair")],
    Discriminator(_kind_of_fields),
]


WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def label_key(value: object) -> str | None:
    """The text that equal labels share: "1" for 1, 1.0, "1" and "1.0", "true" for True and "True".

    None if the value can be no label.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if value == value // 1 else str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    return str(int(text.partition(".")[0])) if WHOLE.fullmatch(text) else text


def _by_key(labels: Any) -> Any:
    """A mapping of labels by the keys that data are looked up with."""
    if not isinstance(labels, Mapping):
        return labels
    by_key = {label_key(label): value for label, value in labels.items()}
    if len(by_key) < len(labels):
        raise ValueError("two of its keys mean the same label")
    if not {0, 1} <= {value for value in by_key.values() if value in (0, 1)}:
        raise ValueError("must map a label to 0 and another one to 1")
    return by_key


class DatasetTask(Frozen):
    """A data set of the hub, or a JSONL, JSON, CSV, TSV or Parquet file.

    Without test_path and test_split, the test split is drawn from the same examples as the other splits.
    """

    kind: Literal["dataset"] = "dataset"
    path: Annotated[
        str,
        Field(
            min_length=1,
            description="hub id, or a .jsonl, .json, .csv or .tsv file, packed (.gz) or not, or .parquet",
        ),
    ]
    name: Annotated[str | None, Field(description="subset of a hub data set")] = None
    split: Annotated[str, Field(description="hub split to draw from")] = "train"
    revision: Annotated[str | None, Field(description="hub branch, tag or commit; null: main")] = None
    test_path: Annotated[str | None, Field(description="hub id or file of the test examples")] = None
    test_revision: Annotated[
        str | None, Field(description="hub branch, tag or commit of test_path; null: main")
    ] = None
    test_split: Annotated[str | None, Field(description="hub split of the test examples")] = None
    fields: Annotated[
        Fields,
        Field(description="names of the fields; naming prompt, chosen or rejected makes it a task of pairs"),
    ] = SingleFields()
    labels: Annotated[
        Annotated[dict[str, Literal[0, 1] | None], BeforeValidator(_by_key)] | None,
        Field(
            description="class of every label that is not 0 or 1, such as {positive: 1, negative: 0}; "
            "null leaves its rows out"
        ),
    ] = None
    empty: Annotated[
        Literal["refuse", "leave_out"],
        Field(description="what to do with rows that lack a text, a label or a response"),
    ] = "refuse"
    question: Annotated[
        Annotated[str, Field(max_length=1000, pattern=r"\S")] | None,
        Field(description="asked of the strong model for its zero-shot answer; yes means label 1"),
    ] = None
    seed: Annotated[
        Seed, Field(description="draws the splits and the order of pairs, whatever the run's seed is")
    ] = 0
    splits: Annotated[SplitSizes, Field(description="examples in each split")]

    @property
    def has_pairs(self) -> bool:
        """Whether its examples are preference pairs."""
        return isinstance(self.fields, PairFields)

    @model_validator(mode="after")
    def _pairs_have_no_labels(self) -> Self:
        if self.labels is not None and isinstance(self.fields, PairFields):
            raise ValueError(
                "labels are for tasks of single texts: a pair names its better response in `chosen`"
            )
        return self

    @model_validator(mode="after")
    def _a_file_has_one_split(self) -> Self:
        if self.test_split is not None and is_file_path(self.test_path or self.path):
            raise ValueError(
                f"test_split {self.test_split!r} names a split of a hub data set, but "
                f"{self.test_path or self.path!r} is a file: name the file of the test examples in test_path"
            )
        return self


def is_file_path(path: str) -> bool:
    """Whether `path` means a local file rather than a hub id, whether or not the file is there."""
    file = Path(path).expanduser()
    return (
        path.lower().endswith(tuple(READERS)) or file.is_file() or file.is_absolute() or path.startswith(".")
    )


class ToyTask(Frozen):
    """Made-up reviews, and whether each argues for a positive verdict; needs no network.

    Tasks of different parts have no review in common.
    """

    kind: Literal["toy"] = "toy"
    seed: Annotated[Seed, Field(description="draws the examples, whatever the run's seed is")] = 0
    splits: Annotated[SplitSizes, Field(description="examples in each split")] = SplitSizes(
        weak_train=1600, transfer=1600, search=1500, test=2000
    )
    part: Annotated[
        Annotated[int, Field(ge=0, le=3)] | None,
        Field(description="draws from this quarter of all reviews alone; null: from all of them"),
    ] = None
    contrast: Annotated[
        float, Field(ge=0, le=1, description="share of reviews that concede the opposite in a clause")
    ] = 0.25

    @property
    def has_pairs(self) -> bool:
        """Whether its examples are preference pairs."""
        return False


TaskConfig = Annotated[DatasetTask | ToyTask, Field(discriminator="kind")]
