"""The names of a method's parameters, such as `loss.kind` and `loss.logconf.aux`.

Optuna's studies, W&B and the report all use these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever names the values of a method that was read as JSON needs no component classes
    from trainers.method import Method


def kind_name(slot: str) -> str:
    """The name of the choice of a slot's component: `loss.kind`."""
    return f"{slot}.kind"


def param_name(slot: str, kind: str, param: str) -> str:
    """The name of a component's parameter: `loss.logconf.aux`."""
    return f"{slot}.{kind}.{param}"


def method_values(method: Method) -> dict[str, Any]:
    """Every value in a method by its name, slot by slot."""
    components = {slot: getattr(method, slot) for slot in type(method).model_fields}
    return named_values(
        (slot, [(name, getattr(component, name)) for name in type(component).model_fields])
        for slot, component in components.items()
    )


def named_values(slots: Iterable[tuple[str, Iterable[tuple[str, Any]]]]) -> dict[str, Any]:
    """The same, of pairs of a slot and the (field, value) pairs of its component, `kind` among them."""
    named: dict[str, Any] = {}
    for slot, component in slots:
        fields = dict(component)
        kind = fields.pop("kind")
        named[kind_name(slot)] = kind
        named |= {param_name(slot, kind, param): value for param, value in fields.items()}
    return named
