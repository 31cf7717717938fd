"""Options: a plain mapping becomes a frozen dataclass, or sentences that say what is wrong.

OmegaConf converts and checks each value against the field's annotation; this module gathers every
problem instead of stopping at the first, and puts each into words.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from ablate.errors import RecipeError, did_you_mean

T = TypeVar("T")

INTERPOLATION = re.compile(r"(\\*)\$\{")

WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True)
class Option:
    """One option as a user sees it; ``default`` is None where the option must be given."""

    name: str
    type: str
    default: str | None


def build(cls: type[T], options: object, where: str) -> tuple[T | None, list[str]]:
    """An instance of a frozen dataclass from plain options, or None and every problem found.

    ``where`` is the dotted place of the options in the recipe and starts each sentence.
    """
    try:
        hints = get_type_hints(cls)
        checked = OmegaConf.structured(cls)
        OmegaConf.set_readonly(checked, False)  # it takes that over from the frozen class
    except Exception as error:  # a third party's annotations can be wrong in any way
        return None, [f"{where}: the options of {cls.__name__} cannot be read: {_line(error)}"]
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        return None, [f"{where}: must be a mapping of options, got {shorten(options)}"]
    known = {f.name: f for f in fields(cls) if f.init}  # type: ignore[arg-type]
    problems = _unknown(options, known, where)
    problems += _missing(options, known, where)
    values: dict[str, Any] = {}
    for name in (key for key in options if key in known):
        value, wrong = _value(checked, name, hints[name], options[name], join(where, name))
        values[name] = value
        problems += wrong
    return (None, problems) if problems else _make(cls, values, where)


def describe(cls: type) -> Sequence[Option]:
    """The options of a component, in the order they are declared."""
    hints = get_type_hints(cls)
    return [Option(f.name, type_text(hints[f.name]), _default(f)) for f in fields(cls) if f.init]


def type_text(hint: Any) -> str:
    """A type in a user's words: ``a whole number``, ``one of 'a', 'b'``."""
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in get_args(hint))
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(a) for a in get_args(hint))
    kind = origin or hint
    if kind in (list, tuple) and get_args(hint):
        return f"a list ({type_text(get_args(hint)[0])} each)"
    if kind is dict and get_args(hint) and get_args(hint)[1] is not Any:
        return f"a mapping ({type_text(get_args(hint)[1])} each)"
    return WORDS.get(kind) or ("a mapping" if is_dataclass(kind) else str(kind))


def join(where: str, key: object) -> str:
    """The dotted place of ``key`` in ``where``."""
    return f"{where}.{key}" if where else str(key)


def _unknown(options: Mapping[Any, Any], known: Mapping[str, Any], where: str) -> list[str]:
    return [
        f"{join(where, key)}: there is no such key.{did_you_mean(str(key), known)}"
        for key in options
        if key not in known
    ]


def _missing(options: Mapping[Any, Any], known: Mapping[str, Field[Any]], where: str) -> list[str]:
    return [
        f"{join(where, name)}: a value is needed and none is given"
        for name, f in known.items()
        if name not in options and f.default is MISSING and f.default_factory is MISSING
    ]


def _value(
    checked: Any, name: str, hint: Any, value: object, where: str
) -> tuple[Any, Sequence[str]]:
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value, where)
    try:
        OmegaConf.update(checked, name, escape(value))
        converted = checked[name]
        return OmegaConf.to_object(converted) if OmegaConf.is_config(converted) else converted, []
    except ConfigKeyError as error:
        return None, [f"{where}: {_line(error)}"]
    except (OmegaConfBaseException, OverflowError):
        return None, [f"{where}: {_mismatch(hint, value)}"]


def escape(value: Any) -> Any:
    """The value with each ``${`` in its strings kept from being read as an interpolation."""
    if isinstance(value, str):
        return INTERPOLATION.sub(lambda m: f"{m[1] * 2}\\${{", value)
    if isinstance(value, Mapping):
        return {k: escape(v) for k, v in value.items()}
    return [escape(v) for v in value] if isinstance(value, (list, tuple)) else value


def _mismatch(hint: Any, value: object) -> str:
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        return f"there is no choice {shorten(value)}.{did_you_mean(str(value), choices)}"
    return f"must be {type_text(hint)}, got {shorten(value)}"


def shorten(value: object) -> str:
    """What was given, short enough for a sentence."""
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."


def _make(cls: type[T], values: Mapping[str, Any], where: str) -> tuple[T | None, list[str]]:
    try:
        return cls(**values), []
    except RecipeError as error:
        return None, [f"{where}: {problem}" for problem in error.problems]
    except (ValueError, TypeError) as error:
        return None, [f"{where}: {_line(error)}"]


def _default(field: Field[Any]) -> str | None:
    if field.default is not MISSING:
        return text(field.default)
    return None if field.default_factory is MISSING else text(field.default_factory())


def text(value: object) -> str:
    """A value as a recipe would write it, on one line."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    dumped = yaml.safe_dump({"_": plain}, default_flow_style=True, width=math.inf)
    return dumped.strip()[len("{_: ") : -1]


def _line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
