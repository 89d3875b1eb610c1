"""How a method differs from the naive baseline, in words."""

from collections.abc import Iterator

from trainers.component import Component
from trainers.method import SLOTS, Method


def differences(method: Method, naive: Method) -> str:
    """The components and settings that the naive baseline lacks, on one line.

    For example "loss logconf (aux 0.5); optim adamw (lr 0.001)". A component of another kind is shown with
    all its settings.
    """
    parts = []
    for slot in SLOTS:
        component, base = getattr(method, slot), getattr(naive, slot)
        if component != base:
            settings = ", ".join(_changed(component, base))
            parts.append(f"{slot} {component.kind}" + (f" ({settings})" if settings else ""))
    return "; ".join(parts) or "the naive baseline"


def _changed(component: Component, base: Component) -> Iterator[str]:
    for name, value in component:
        if name != "kind" and (component.kind != base.kind or value != getattr(base, name)):
            yield f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
