"""What became of the rows that a task was given: counted where it happens, said once, kept in the record."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen

Count = Annotated[int, Field(ge=0)]


class FileCounts(Frozen):
    """What became of the rows of a file or of a hub split.

    empty: rows that lack a text, a label or a response. unlabelled: rows whose label is mapped to null.
    equal_pairs: pairs of equal responses. contradictions: inputs that occur with both labels, or pairs with
    either response as the better one, in contradicting_rows rows. duplicates: rows that repeat an earlier
    one. in_test: examples that share an input or a group with the test split. Of duplicates the first row is
    kept; all others are left out.
    """

    path: str
    rows: Count
    empty: Count = 0
    unlabelled: Count = 0
    equal_pairs: Count = 0
    contradictions: Count = 0
    contradicting_rows: Count = 0
    duplicates: Count = 0
    in_test: Count = 0

    def left_out(self) -> str:
        """What was left out, and why; empty if every row is kept."""
        inputs = "input" if self.contradictions == 1 else "inputs"
        parts = (
            (self.empty, "lack a text, a label or a response"),
            (self.unlabelled, "have a label that is mapped to null"),
            (self.equal_pairs, "are pairs of equal responses"),
            (
                self.contradicting_rows,
                f"contradict each other ({self.contradictions} {inputs} with both labels, neither is kept)",
            ),
            (self.duplicates, "repeat an earlier row"),
            (self.in_test, "share an input or a group with the test split"),
        )
        said = ", ".join(f"{count} {what}" for count, what in parts if count)
        return f"of {self.rows} rows left out: {said}" if said else ""

    def sentence(self) -> str | None:
        """The same with the name of the file; None if every row is kept."""
        said = self.left_out()
        return f"{self.path}: {said}" if said else None


class LengthCounts(Frozen):
    """What is left of the examples of all splits within a model's max_length.

    role: the setting of the model. shortened: examples that lose tokens. equal_pairs: pairs whose two
    responses have the same tokens. same: examples with the same tokens as another one.
    """

    role: str
    max_length: int
    examples: Count
    shortened: Count = 0
    equal_pairs: Count = 0
    same: Count = 0

    def sentence(self) -> str | None:
        """What is lost; None if nothing is."""
        parts = (
            (self.shortened, "are truncated"),
            (
                self.equal_pairs,
                "are pairs whose responses are the same then, so nothing tells the better one",
            ),
            # Where no example is shortened, it is the tokenizer that does not tell them apart.
            (self.same if self.shortened else 0, "are the same as another one then"),
        )
        said = ", ".join(f"{count} {what}" for count, what in parts if count)
        return (
            f"{self.role}: of {self.examples} examples within max_length {self.max_length}, {said}"
            if said
            else None
        )


class DataCounts(Frozen):
    """The counts of every file that a task reads and of every model that reads the task."""

    files: tuple[FileCounts, ...] = ()
    lengths: tuple[LengthCounts, ...] = ()

    def sentences(self) -> Iterator[str]:
        """One line for each file and model that loses something."""
        said = [of_file.sentence() for of_file in self.files] + [
            of_model.sentence() for of_model in self.lengths
        ]
        yield from (sentence for sentence in said if sentence is not None)
