"""Branches that compute what the naive baseline computes, under another name."""

from functools import lru_cache

from agents.language.proposal import Branch
from agents.language.space import KEPT, sample_methods
from trainers.method import Method


@lru_cache(KEPT)
def disguise(branch: Branch, naive: Method) -> str | None:
    """The branch's component that computes what naive's does in every sampled method, else None."""
    methods = list(sample_methods(branch, naive))
    for slot in (named.slot for named in branch.slots):
        plain = getattr(naive.plainest, slot)
        if all(getattr(m, slot) != plain and getattr(m.plainest, slot) == plain for m in methods):
            kinds = " and ".join(sorted({getattr(method, slot).kind for method in methods}))
            return (
                f"{slot}.{kinds} computes what naive computes with {slot}.{plain.kind} here; change its "
                "parameters or drop it"
            )
    return None
