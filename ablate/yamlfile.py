"""Reading a recipe's YAML: overrides by dotted key, interpolations, and errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ablate.errors import RecipeError
from ablate.options import join, shorten

Tree = dict[str, Any]

PATH = re.compile(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")
UNSET = re.compile(r"Environment variable '([^']*)' not found")

# What a bare string stands for where an override reaches below it.
SHORTHANDS = ("model", "engine", "executor", "domains")


def read_yaml(path: Path) -> Tree:
    """The mapping in a YAML file, interpolations not yet resolved.

    Raises RecipeError for a file that is missing, unreadable, empty, no YAML or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError([f"{path} does not exist"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([f"{path} cannot be read: {error}"]) from None
    try:
        loaded = OmegaConf.create(text)
    except yaml.YAMLError as error:
        raise RecipeError([f"{path}{_yaml_words(error)}"]) from None
    except (OmegaConfBaseException, ValueError) as error:
        raise RecipeError([f"{path}: {_placed(error)}"]) from None
    tree = OmegaConf.to_container(loaded)
    if not tree:
        raise RecipeError([f"{path} is empty; a recipe has at least model and domains"])
    if not isinstance(tree, dict) or ":" not in text:  # OmegaConf reads a bare word as a key
        raise RecipeError([f"{path} is no recipe: it must be a mapping of keys to values"])
    return cast("Tree", tree)


def override(tree: Tree, overrides: Iterable[str]) -> list[str]:
    """Apply ``key=value`` and ``@FILE`` texts to a tree in place; returns what is wrong with them.

    A file holds keys, dotted ones too, with their values.
    """
    return [p for text in overrides for p in _override(tree, text)]


def _override(tree: Tree, text: str) -> list[str]:
    if text.startswith("@"):
        return _override_by_file(tree, text)
    key, equals, value = text.partition("=")
    if not equals:
        return [f"override {text!r}: must be key=value or @FILE"]
    try:
        parsed = cast("Tree", OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"])))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        return [f"override {text!r}: {value!r} is no YAML value: {_first_line(error)}"]
    problem = assign(tree, key, parsed["value"])
    return [f"override {text!r}: {problem}"] if problem else []


def _override_by_file(tree: Tree, text: str) -> list[str]:
    try:
        given = read_yaml(Path(text[1:]))
    except RecipeError as error:
        return [f"override {text!r}: {problem}" for problem in error.problems]
    problems = (assign(tree, str(key), value) for key, value in given.items())
    return [f"override {text!r}: {problem}" for problem in problems if problem]


def assign(tree: Tree, key: str, value: Any) -> str | None:
    """Set a dotted key such as ``factors.weights[0].awq.bits``; returns what hinders it, if any.

    Missing mappings on the way are made; an index may be that of a list's next element.
    """
    if not PATH.fullmatch(key):
        return f"{key!r} is no dotted key such as sampling.max_tokens or factors.weights[0]"
    steps = re.findall(r"[^.\[\]]+", key)
    if len(steps) > 1 and steps[0] in SHORTHANDS:
        tree[steps[0]] = expand(steps[0], tree.get(steps[0]))
    node: Any = tree
    for place, step in enumerate(steps):
        rest = ".".join(steps[place:])
        if isinstance(node, dict) and rest in node:  # a level's `set` has dotted keys
            node[rest] = value
            return None
        at = ".".join(steps[:place]) or "the recipe"
        problem = _hindrance(node, step, at)
        if problem:
            return problem
        if place == len(steps) - 1:
            _put(node, step, value)
            return None
        node = _child(node, step)
    return None


def expand(key: str, value: Any) -> Any:
    """The long form of ``model: x``, ``engine: x``, ``executor: x`` and ``domains: [x, y]``."""
    if key in SHORTHANDS and isinstance(value, str):
        return {"id": value} if key == "model" else {value: {}}
    if key == "domains" and isinstance(value, list):
        return {k: v for item in value for k, v in _named(item)}
    return value


def _named(item: Any) -> Sequence[tuple[str, Any]]:
    return list(item.items()) if isinstance(item, dict) else [(item, {})]


def _hindrance(node: Any, step: str, at: str) -> str | None:
    if isinstance(node, dict):
        return None
    if not isinstance(node, list):
        return f"{at} is {shorten(node)}, which has no key {step!r}"
    if not step.isdecimal() or int(step) > len(node):
        return f"{at} is a list of {len(node)}; {step!r} is no place in it"
    return None


def _child(node: Any, step: str) -> Any:
    key: Any = int(step) if isinstance(node, list) else step
    if isinstance(node, list):
        if key == len(node):
            node.append({})
    elif node.get(key) is None:
        node[key] = {}
    return node[key]


def _put(node: Any, step: str, value: Any) -> None:
    if not isinstance(node, list):
        node[step] = value
    elif int(step) == len(node):
        node.append(value)
    else:
        node[int(step)] = value


def resolve(tree: Tree) -> tuple[Tree, list[str]]:
    """The tree with its interpolations resolved, and what is wrong with them."""
    problems: list[str] = []
    try:
        config = OmegaConf.create(tree)
    except OmegaConfBaseException as error:
        return {}, [_placed(error)]
    resolved = _plain(config, "", problems)
    return resolved, problems


def _plain(node: Any, where: str, problems: list[str]) -> Any:
    if isinstance(node, ListConfig):
        return [_entry(node, i, f"{where}[{i}]", problems) for i in range(len(node))]
    if isinstance(node, DictConfig):
        keys = [k for k in node if _is_text(k, where, problems)]
        return {k: _entry(node, k, join(where, k), problems) for k in keys}
    return node


def _entry(node: Any, key: Any, where: str, problems: list[str]) -> Any:
    try:
        return _plain(node[key], where, problems)
    except MissingMandatoryValue:
        problems.append(f"{where}: a value is needed in place of '???'")
    except OmegaConfBaseException as error:
        unset = UNSET.search(str(error))
        problems.append(
            f"{where}: the environment variable {unset[1]!r} is not set; "
            f"${{oc.env:{unset[1]},default}} would give it a default"
            if unset
            else f"{where}: {_first_line(error)}"
        )
    return None


def _is_text(key: Any, where: str, problems: list[str]) -> bool:
    if not isinstance(key, str):
        problems.append(f"{where or 'recipe'}: the key {key!r} is no text; put it in quotes")
    return isinstance(key, str)


def _yaml_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return f": {_first_line(error)}"
    return f":{mark.line + 1}:{mark.column + 1}: {problem}"


def _placed(error: Exception) -> str:
    """The error's first line, after the key that it is about."""
    key = getattr(error, "full_key", None)
    return f"{key}: {_first_line(error)}" if key else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
