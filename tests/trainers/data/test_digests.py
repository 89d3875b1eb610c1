from dataclasses import replace
from itertools import product

import numpy as np

from trainers.data.digests import example_keys, inputs_digest, task_digests, truth_digest
from trainers.data.examples import SPLITS, Examples, Task

SINGLES = Examples(texts=("one", "two", "three"))
PAIRS = Examples(texts=("p", "q"), pairs=(("a", "b"), ("c", "d")))
LABELS = np.array([0, 1, 1, 0], dtype=np.int8)


def test_a_digest_of_inputs_changes_with_all_that_a_model_is_shown() -> None:
    others = [
        SINGLES,
        replace(SINGLES, texts=("one", "three", "two")),
        replace(SINGLES, texts=("one", "twot", "hree")),
        replace(SINGLES, texts=("one", "two")),
        replace(SINGLES, question="why?"),
        PAIRS,
        replace(PAIRS, pairs=(("b", "a"), ("c", "d"))),
    ]
    assert len({inputs_digest(examples) for examples in others}) == len(others)
    assert inputs_digest(SINGLES) == inputs_digest(replace(SINGLES, texts=("one", "two", "three")))
    assert inputs_digest(Examples(texts=("\ud800",)))  # as JSON may bring it


def test_a_digest_of_truth_changes_with_every_label_and_with_the_salt() -> None:
    flipped = [LABELS ^ np.eye(4, dtype=np.int8)[i] for i in range(4)]
    assert len({truth_digest(labels, b"salt") for labels in (LABELS, *flipped)}) == 5
    assert truth_digest(LABELS, b"salt") == truth_digest(LABELS.copy(), b"salt")
    assert truth_digest(LABELS, b"other") != truth_digest(LABELS, b"salt")


def test_few_labels_cannot_be_guessed_without_the_salt() -> None:
    """All sixteen labellings, under the salts that somebody might try: none has the digest that was told."""
    told = truth_digest(LABELS, bytes.fromhex("8e3f2c71d05b4aa69f1277c4be80d915"))
    tried = [np.array(bits, dtype=np.int8) for bits in product((0, 1), repeat=4)]
    guesses = {truth_digest(labels, salt) for labels in tried for salt in (b"", b"salt", bytes(16))}
    assert told not in guesses


def test_a_task_has_two_digests_a_split() -> None:
    labels = np.array([0, 1, 0], dtype=np.int8)
    task = Task(inputs=dict.fromkeys(SPLITS, SINGLES), truth=dict.fromkeys(SPLITS, labels))
    found = task_digests(task, b"salt")
    assert found.keys() == {f"{split}.{part}" for split in SPLITS for part in ("inputs", "truth")}
    turned = replace(task, truth=task.truth | {"search": 1 - labels})
    changed = task_digests(turned, b"salt")
    assert [name for name in found if found[name] != changed[name]] == ["search.truth"]


def test_keys_of_examples_ignore_every_order() -> None:
    turned = replace(PAIRS, texts=("q", "p"), pairs=(("d", "c"), ("a", "b")))
    assert example_keys(PAIRS) == example_keys(turned)
    assert len(set(example_keys(PAIRS))) == 2
    assert set(example_keys(SINGLES)) & set(example_keys(replace(SINGLES, texts=("two", "four", "five"))))
    assert not set(example_keys(PAIRS)) & set(example_keys(Examples(texts=("p", "q"))))
