"""One self-contained file of Python from definitions of this repository and all that they use.

Definitions are copied as they stand, so that a formula has one home. Settings of components become plain
dataclasses. What would clash under one name is renamed after its module.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

from search.export.parts import asking, evolving, reading, training  # noqa: F401  # loads what exported files are made of
from trainers import lazy
from trainers.component import Component
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.losses import LossFormula
from trainers.lazy import LazyModule

OURS = ("trainers.", "search.export.parts.")
LAZY = "trainers.lazy"
READ_FORMULA = (("numbers", "dict[str, float]"), ("program", "Program"), ("evidence", "frozenset[str]"))
IGNORED = re.compile(r"[ \t]*# (type: ignore|noqa)\b.*$", re.MULTILINE)

Place = tuple[str, str]  # a module and a name in it


@dataclass(frozen=True, kw_only=True)
class _Module:
    """The definitions and the imports of a module, by name."""

    name: str
    lines: tuple[str, ...]
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def _loaded(name: str) -> ModuleType:
    """A module by its name; what the parts of exported files use is loaded with them."""
    if name not in sys.modules:
        raise ValueError(f"{name} is no module that exported files use")
    return sys.modules[name]


@cache
def _module(name: str) -> _Module:
    file = _loaded(name).__file__
    assert file is not None
    text = Path(file).read_text(encoding="utf-8")
    found = _Module(name=name, lines=tuple(text.splitlines()))
    for statement in _statements(ast.parse(text).body):
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                found.definitions[statement.name] = statement
            case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
                found.definitions[target] = statement
            case ast.Assign(targets=[ast.Tuple(elts=targets)]):
                found.definitions.update({t.id: statement for t in targets if isinstance(t, ast.Name)})
            case ast.Import():
                for alias in statement.names:
                    found.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, None)
            case ast.ImportFrom(module=str(source)):
                found.imports.update({a.asname or a.name: (source, a.name) for a in statement.names})
    return found


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those for a type checker alone included."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _statements(statement.body)
        else:
            yield statement


def bundle(roots: Sequence[Place]) -> tuple[list[str], list[str]]:
    """The import lines, and the definitions of these and of all that they use, a text for each module.

    What only annotations name is not copied; it stands as `Any`. Raises ValueError for a name that cannot be
    found.
    """
    found = _Found()
    for place in roots:
        found.add(*place)
    return found.import_lines(), [*found.unknown_types(), *found.texts()]


class _Found:
    """The definitions found so far."""

    def __init__(self) -> None:
        self._places: dict[Place, None] = {}
        self._modules: dict[str, None] = {}
        self._external: dict[str, str] = {}
        self._annotated: set[str] = set()

    def add(self, module: str, name: str) -> None:
        """Add a definition and all that it uses."""
        if (module, name) in self._places:
            return
        here = _module(module)
        if name not in here.definitions:
            if name not in here.imports:
                raise ValueError(f"{module} has no definition of {name}")
            self._follow(here, name)
            return
        self._places[module, name] = None
        if not _is_settings(module, name):
            statement = here.definitions[name]
            for used in sorted(_used(statement)):
                self._follow(here, used)
            for annotation in sorted(_annotations(statement)):
                self._annotate(here, annotation)
        self._modules.setdefault(module)

    def _follow(self, here: _Module, name: str) -> None:
        if name in here.definitions:
            self.add(here.name, name)
        elif name in here.imports:
            source, original = here.imports[name]
            if source == LAZY or not f"{source}.".startswith(OURS):
                self._import(name, source, original)
            else:
                assert original is not None
                self.add(source, original)

    def _annotate(self, here: _Module, name: str) -> None:
        """Take along the type of an annotation if that brings nothing else with it."""
        source, original = here.imports.get(name, (here.name, name))
        if name in here.imports and (source == LAZY or not f"{source}.".startswith(OURS)):
            self._import(name, source, original)
            return
        there = _module(source)
        if original in there.imports:
            self._annotate(there, original)
            return
        statement = there.definitions.get(original or name)
        if (
            isinstance(statement, ast.Assign)
            and all(
                used in there.imports and not f"{there.imports[used][0]}.".startswith(OURS)
                for used in _used(statement) - set(dir(builtins))
            )
        ) or (statement is not None and _is_settings(source, original or name)):
            self.add(source, original or name)
        elif statement is not None:
            self._annotated.add(original or name)

    def _import(self, name: str, source: str, original: str | None) -> None:
        line = _import_line(name, source, original)
        if self._external.setdefault(name, line) != line:
            raise ValueError(f"two imports of one name: {self._external[name]}, {line}")

    def import_lines(self) -> list[str]:
        """The imports from other projects, those of the standard library among them."""
        whole = {line for line in self._external.values() if line.startswith("import")}
        names: dict[str, set[str]] = {"typing": {"Any"}, "dataclasses": {"dataclass"}}
        for line in self._external.values():
            if line.startswith("from"):
                _, source, _, what = line.split(" ", 3)
                names.setdefault(source, set()).add(what)
        parts = [f"from {source} import {', '.join(sorted(what))}" for source, what in sorted(names.items())]
        return [*sorted(whole), *parts]

    def _in_order(self) -> list[str]:
        """The modules, each after those that it imports."""
        order: dict[str, None] = {}

        def visit(module: str) -> None:
            for source, _ in _module(module).imports.values():
                if source in self._modules and source not in order and source != module:
                    visit(source)
            order.setdefault(module)

        for module in self._modules:
            visit(module)
        return list(order)

    def unknown_types(self) -> list[str]:
        """Names that only annotations use."""
        names = sorted(self._annotated - {name for _, name in self._places})
        return [f"{' = '.join(names)} = Any  # types that only annotations name"] if names else []

    def texts(self) -> Iterator[str]:
        """The definitions, a text for each module."""
        owners: dict[str, list[str]] = {}
        for module, name in self._places:
            owners.setdefault(name, []).append(module)
        renamed = {
            (module, name): f"{name}_of_{module.rpartition('.')[2]}"
            for name, modules in owners.items()
            for module in modules[1:]
        }
        for module in self._in_order():
            here = _module(module)
            names = [name for there, name in self._places if there == module]
            chosen = {id(here.definitions[name]): (name, here.definitions[name]) for name in names}
            new = {
                name: renamed[place]
                for name in _names_seen(here)
                if (place := _origin(here, name)) in renamed
            }
            parts = [
                _settings_text(module, name) if _is_settings(module, name) else _text(here, statement, new)
                for name, statement in sorted(chosen.values(), key=lambda pair: pair[1].lineno)
            ]
            yield f"# {module.replace('.', '/')}.py\n\n" + "\n\n".join(parts)


def _names_seen(here: _Module) -> set[str]:
    return here.definitions.keys() | here.imports.keys()


def _origin(here: _Module, name: str) -> Place:
    """Where a name of a module is defined."""
    if name in here.definitions:
        return here.name, name
    source, original = here.imports[name]
    if original is None or source == LAZY or not f"{source}.".startswith(OURS):
        return source, original or ""
    return (
        _origin(_module(source), original) if original in _names_seen(_module(source)) else (source, original)
    )


def _import_line(name: str, source: str, original: str | None) -> str:
    if source == LAZY:
        module = getattr(lazy, name)
        source, original = (repr(module)[12:-2] if isinstance(module, LazyModule) else module.__name__), None
    if original is None and "." in source:
        source, _, original = source.rpartition(".")
    if original is None:
        return f"import {source}" if name == source else f"import {source} as {name}"
    return f"from {source} import {original}" + ("" if name == original else f" as {name}")


def _is_settings(module: str, name: str) -> bool:
    found = getattr(_loaded(module), name, None)
    return isinstance(found, type) and issubclass(found, Component)


def _used(statement: ast.stmt) -> set[str]:
    """The names that a definition needs when it runs."""
    if isinstance(statement, ast.AnnAssign):
        return _names(statement.value) if statement.value else set()
    return _names(statement) - _only_annotations(statement)


def _names(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def _annotation_nodes(statement: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(statement):
        for name in ("annotation", "returns"):
            if isinstance(found := getattr(node, name, None), ast.AST):
                yield found


def _only_annotations(statement: ast.stmt) -> set[str]:
    inside = {id(node) for found in _annotation_nodes(statement) for node in ast.walk(found)}
    outside = {
        node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and id(node) not in inside
    }
    return _names(statement) - outside


def _annotations(statement: ast.stmt) -> set[str]:
    found = {name for node in _annotation_nodes(statement) for name in _names(node)}
    return found - set(dir(builtins)) - _used(statement)


def _text(here: _Module, statement: ast.stmt, renamed: dict[str, str]) -> str:
    """The source of a definition, with other names where they would clash."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(node.lineno for node in decorators)])
    lines = list(here.lines[first - 1 : statement.end_lineno])
    spots = [
        (node.lineno - first, node.col_offset, node.id)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id in renamed
    ]
    for line, column, name in sorted(spots, reverse=True):
        at = len(lines[line].encode()[:column].decode())
        lines[line] = lines[line][:at] + renamed[name] + lines[line][at + len(name) :]
    text = "\n".join(lines)
    if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name in renamed:
        text = re.sub(rf"\b(def|class) {statement.name}\b", rf"\1 {renamed[statement.name]}", text, count=1)
    return IGNORED.sub("", text)


def _settings_text(module: str, name: str) -> str:
    """A component's settings as a dataclass without bounds or defaults."""
    settings: type[Component] = getattr(_loaded(module), name)
    more = list(READ_FORMULA) if issubclass(settings, Formula) else []
    fields = [
        f"    {key}: {type(info.default).__name__}"
        for key, info in settings.model_fields.items()
        if key != "kind"
    ]
    fields += [f"    {key}: {kind}" for key, kind in more]
    about = (settings.__doc__ or name).splitlines()[0]
    return "\n".join(
        [f"@dataclass(frozen=True, kw_only=True)\nclass {name}:", f'    """{about}"""', "", *fields]
    ).rstrip()


def settings_literal(component: Component) -> str:
    """A component's settings as the call that makes them: `Confidence(share=0.5, balanced=True)`.

    A formula stands with the steps that its expression has been read as.
    """
    values = component.model_dump(exclude={"kind"})
    if isinstance(component, Formula):
        evidence = component.evidence if isinstance(component, LossFormula) else frozenset[str]()
        values |= {"numbers": component.numbers, "program": component.program, "evidence": evidence}
    return f"{type(component).__name__}({', '.join(f'{key}={value!r}' for key, value in values.items())})"
