"""What a case of the fault benchmark is, and when a fault counts as survived."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.small_runs.site import Driver, Site
from tests.small_runs.whole import problems


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How many faults a case injected, and the problems afterwards."""

    faults: int
    wrong: list[str]


Case = Callable[[Site, random.Random, int], Tried]


def ended(site: Site, driver: Driver, code: int = 0, says: str = "") -> list[str]:
    """What is wrong with how a driver ended: its exit code, and a line that it should write."""
    got, output, errors = driver.wait()
    wrong = [] if got == code else [f"exit code {got} in place of {code}: {errors[-300:]}"]
    if "Traceback" in errors and code:
        wrong.append("a traceback")
    if says not in output + errors:
        wrong.append(f"does not say {says!r}: {errors[-300:]}")
    return wrong


def whole(site: Site, driver: Driver) -> list[str]:
    """What is wrong once this driver has brought the run to its end."""
    return ended(site, driver) or problems(site.out)
