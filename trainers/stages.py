"""How many trainings a method is made of, and what each learns from."""

from typing import Literal

from trainers.component import Component


class Once(Component):
    """One training on the weak labels."""

    kind: Literal["once"] = "once"
