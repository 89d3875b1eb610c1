import numpy as np
import pytest
import torch

from search.export.parts.base import as_examples, as_probs, classifier_of, combined


def test_records_are_texts_or_pairs() -> None:
    assert as_examples([{"text": "a", "weak": 0.2}]).texts == ("a",)
    pairs = as_examples([{"prompt": "p", "first": "a", "second": "b"}])
    assert (pairs.texts, pairs.pairs) == (("p",), (("a", "b"),))
    assert len(as_examples([])) == 0


def test_log_odds_become_probabilities() -> None:
    assert as_probs(np.array([0.0, np.log(3)])).tolist() == pytest.approx([0.5, 0.75])


def test_a_classifier_has_the_head_that_it_is_given() -> None:
    from transformers import BertConfig, BertModel

    body = BertModel(BertConfig(hidden_size=4, num_hidden_layers=1, num_attention_heads=1, vocab_size=9))
    made = classifier_of(body, "cls", torch.eye(2, 4), None)
    assert made.head.bias is None
    assert made.head.weight.tolist() == torch.eye(2, 4).tolist()


ANSWERS = np.array([[0.0, 4.0], [1.0, -9.0], [5.0, 2.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("aggregate", "left_out", "expected"),
    [("mean", 0, [2.0, 0.0]), ("median", 0, [1.5, 2.5]), ("trimmed", 1, [1.5, 2.5])],
)
def test_members_answer_together(aggregate: str, left_out: int, expected: list[float]) -> None:
    assert combined(ANSWERS, aggregate, left_out).tolist() == expected
