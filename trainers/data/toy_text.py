"""Made-up reviews with real structure: clauses, negation, contrast and concession, and their verdicts.

A review argues for one verdict in its main clauses and may concede the opposite in the others: "the food
was bland but the staff was never rude" and "although the food was bland , the staff was never rude" are
both positive. Counting words is not enough; the effect of each negation and connective matters.

The weak and the strong model know different words. The weak one reads RARE words as unknown; most of them
praise, so it takes their reviews for positive, without being sure. Pretraining leaves out TRADE words, so
only labels teach the strong model what these mean, and for that its weights have to change. A student that
trains long enough to learn the trade words also learns its supervisor's mistakes about the rare ones,
unless its method tells the two apart.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


POSITIVE = _words(
    "good great kind fresh warm friendly tasty clean lovely excellent superb charming delicious cosy bright "
    "polite quick cheerful splendid elegant generous helpful perfect pleasant wonderful amazing brilliant "
    "comfortable crisp delightful enjoyable exquisite fantastic flawless fun gentle gracious honest inviting "
    "impressive juicy lively magnificent marvellous neat nice outstanding peaceful prompt quiet refined "
    "relaxing remarkable rich smooth spacious spotless stunning sweet tidy"
)
NEGATIVE = _words(
    "bad awful rude stale cold hostile bland dirty horrid terrible dreadful dull disgusting cramped gloomy "
    "impolite slow grumpy shabby clumsy stingy careless faulty unpleasant horrible appalling pathetic "
    "uncomfortable soggy annoying tedious tasteless lousy broken boring harsh arrogant dishonest uninviting "
    "disappointing dry lifeless mediocre miserable messy nasty inferior chaotic late noisy crude stressful "
    "forgettable watery rough crowded filthy ugly sour untidy"
)
TRADE = frozenset({*POSITIVE[:16], *NEGATIVE[:16]})
RARE = frozenset({*POSITIVE[-28:], *NEGATIVE[-16:]})
SUBJECTS = _words(
    "food staff room service soup bread waiter garden music view bar coffee dessert lobby bed bath pool "
    "breakfast dinner host kitchen terrace salad driver"
)
VERBS = ("was", "seemed", "felt", "looked")
INTENSIFIERS = ("very", "really", "quite", "truly", "so", "rather")
NEGATIONS = ("not", "never", "hardly", "far from", "not very", "not really", "anything but", "not at all")
OPENINGS = ("", "", "honestly ,", "this time ,", "to be fair ,", "on friday")
BUT = ("but", "yet", ", however ,")
ALTHOUGH = ("although", "though", "even though")
VERDICT_PROMPT = "verdict :"
VERDICTS = ("negative", "positive")

P_NEGATED = 0.12
P_INTENSIFIED = 0.3
P_CONTRAST = 0.25
P_SECOND_CLAUSE = 0.3
P_HASTY = 0.6

T = TypeVar("T")
Order = Literal["plain", "but", "although", "although_first"]


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A statement; `modifier` is "", an intensifier or a negation, and a negation reverses it."""

    subject: str
    verb: str
    modifier: str
    adjective: str

    @property
    def positive(self) -> bool:
        """Whether it praises, as a negated negative word does."""
        return (self.adjective in POSITIVE) != (self.modifier in NEGATIONS)

    @property
    def text(self) -> str:
        """Its words, separated by spaces."""
        return " ".join(f"the {self.subject} {self.verb} {self.modifier} {self.adjective}".split())


@dataclass(frozen=True, kw_only=True)
class Review:
    """Main clauses, which carry the verdict, and conceded clauses, which argue against it.

    order "plain" has no conceded clause; "but" puts them first; "although" puts them last and
    "although_first" first, both behind a concessive word.
    """

    opening: str
    main: tuple[Clause, ...]
    conceded: tuple[Clause, ...]
    order: Order
    connective: str

    @property
    def label(self) -> int:
        """1 if the main clauses are positive, 0 if they are negative."""
        return int(self.main[0].positive)

    @property
    def adjectives(self) -> frozenset[str]:
        """Its words of praise and blame."""
        return frozenset(clause.adjective for clause in (*self.main, *self.conceded))

    @property
    def prompt(self) -> str:
        """The review and the question that its verdict answers: the input of a model."""
        return f"{self.text} {VERDICT_PROMPT}"

    @property
    def text(self) -> str:
        """The review alone, words and marks separated by spaces."""
        main, conceded = _joined(self.main), _joined(self.conceded)
        body = {
            "plain": main,
            "but": f"{conceded} {self.connective} {main}",
            "although": f"{main} {self.connective} {conceded}",
            "although_first": f"{self.connective} {conceded} , {main}",
        }[self.order]
        return f"{self.opening} {body} .".strip()


def _joined(clauses: tuple[Clause, ...]) -> str:
    return " and ".join(clause.text for clause in clauses)


def vocabulary() -> list[str]:
    """Every word that a review or a verdict can contain, sorted, without duplicates."""
    phrases = [*POSITIVE, *NEGATIVE, *SUBJECTS, *VERBS, *INTENSIFIERS, *NEGATIONS, *OPENINGS, *BUT, *ALTHOUGH]
    phrases += ["the", "and", ",", ".", VERDICT_PROMPT, *VERDICTS]
    return sorted({word for phrase in phrases for word in phrase.split()})


def reserved_for_pretraining(text: str) -> bool:
    """Whether a review belongs to the strong model's pretraining: a quarter do, by their SHA-256.

    The rule depends on the text alone, so no seed of a task can draw a review used in pretraining.
    """
    return quarter(text, 0) == 0


def quarter(text: str, byte: int) -> int:
    """Which of four equal parts of all texts it belongs to, by a byte of its SHA-256."""
    return hashlib.sha256(text.encode()).digest()[byte] % 4


def hasty_verdict(review: Review, rng: np.random.Generator) -> int:
    """The verdict of a hasty reader: the label, except in reviews that end with a conceded clause.

    For these, a share P_HASTY of verdicts follows the last clause. The pretraining text has hasty verdicts,
    so the strong model's prior is good but imperfect, with mistakes that a weak supervisor need not make.
    """
    misled = review.order == "although" and rng.random() < P_HASTY
    return 1 - review.label if misled else review.label


def reviews(rng: np.random.Generator, *, pretraining: bool, contrast: float = P_CONTRAST) -> Iterator[Review]:
    """An endless stream of reviews, for pretraining or not; half of the verdicts are positive.

    Those for pretraining have no trade words. contrast: the share of reviews that concede the opposite.
    """
    while True:
        review = _review(rng, contrast)
        if pretraining and review.adjectives & TRADE:
            continue
        if reserved_for_pretraining(review.text) == pretraining:
            yield review


def _review(rng: np.random.Generator, contrast: float) -> Review:
    positive = bool(rng.random() < 0.5)
    order: Order = "plain"
    connective = ""
    if rng.random() < contrast:
        order = _pick(rng, ("but", "although", "although_first"))
        connective = _pick(rng, BUT if order == "but" else ALTHOUGH)
    return Review(
        opening=_pick(rng, OPENINGS),
        main=_group(rng, positive),
        conceded=_group(rng, not positive) if order != "plain" else (),
        order=order,
        connective=connective,
    )


def _group(rng: np.random.Generator, positive: bool) -> tuple[Clause, ...]:
    count = 2 if rng.random() < P_SECOND_CLAUSE else 1
    return tuple(_clause(rng, positive) for _ in range(count))


def _clause(rng: np.random.Generator, positive: bool) -> Clause:
    draw = rng.random()
    negated = draw < P_NEGATED
    intensified = P_NEGATED <= draw < P_NEGATED + P_INTENSIFIED
    return Clause(
        subject=_pick(rng, SUBJECTS),
        verb=_pick(rng, VERBS),
        modifier=_pick(rng, NEGATIONS) if negated else _pick(rng, INTENSIFIERS) if intensified else "",
        adjective=_pick(rng, POSITIVE if positive != negated else NEGATIVE),
    )


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]
