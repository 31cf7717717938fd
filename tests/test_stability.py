"""What keeps plugins working, or says why they no longer do: versions, deprecations, namesakes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution, distributions
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ablate import __version__, implementations, plugins
from ablate.admission import check_requirement
from ablate.errors import AblateError
from ablate.hookspecs import HookDeprecated, hookimpl, hookspec
from ablate.implementations import check_version, deprecations, hooks_of
from ablate.plugins import Installed, Plugin, installed

Install = Callable[..., Installed]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Distributions as they lie in an environment: metadata, entry points, a module each."""

    def add(**modules: str) -> Installed:
        for name, code in modules.items():
            monkeypatch.delitem(sys.modules, name, raising=False)
            (tmp_path / f"{name}.py").write_text(code)
            write_metadata(tmp_path, name)
        monkeypatch.syspath_prepend(str(tmp_path))
        found = [e for d in distributions(path=[str(tmp_path)]) for e in d.entry_points]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found)
        return installed.__wrapped__()

    return add


def write_metadata(site: Path, name: str, *requires: str, entry_point: str = "it") -> Distribution:
    folder = site / f"{name}-0.3.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 0.3"]
    lines += [f"Requires-Dist: {text}" for text in requires]
    (folder / "METADATA").write_text("\n".join(lines))
    (folder / "entry_points.txt").write_text(f"[ablate]\n{entry_point} = {name}:It\n")
    return PathDistribution(folder)


PLUGIN = """
from ablate.plugins import Plugin
class It(Plugin):
    hookspec_version = {}
"""


def test_two_distributions_with_a_plugin_of_one_name(install: Install) -> None:
    found = install(first=PLUGIN.format(1), second=PLUGIN.format(1))
    assert found.optimizations == {}
    assert " and ".join(sorted(found.broken["it"].split(" both ")[0].split(" and "))) == (
        "first 0.3 and second 0.3"
    )
    assert "uninstall one" in found.broken["it"]


def test_a_module_that_cannot_be_imported(install: Install) -> None:
    found = install(lame="import a_package_that_is_not_there")
    assert found.broken == {
        "it": "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"
    }


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ((f"ablate-inference=={__version__}",), True),
        (("ablate-inference[vllm]>=0.0.1", "torch<1"), True),
        (("Ablate_Inference>=99",), False),
        (("ablate-inference<0.0.1",), False),
        (("ablate-inference>=99; extra == 'dev'",), True),
        (("ablate-inference>=99; python_version < '3'",), True),
    ],
)
def test_an_ablate_that_a_distribution_does_not_admit(
    requires: tuple[str, ...], fits: bool, tmp_path: Path
) -> None:
    dist = write_metadata(tmp_path, "picky", *requires)
    if fits:
        return check_requirement(dist)
    with pytest.raises(AblateError, match=f"needs ablate-inference.*{__version__} is running"):
        check_requirement(dist)
    return None


def test_what_is_not_admitted_is_not_imported(install: Install, tmp_path: Path) -> None:
    (tmp_path / "picky.py").write_text("raise SystemExit")
    write_metadata(tmp_path, "picky", "ablate-inference>=99")
    assert "upgrade picky" in install().broken["it"]


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (3, "was written for hook specifications 3, and this ablate has 2: pip install -U ablate"),
        (1, None),
        (0, "was written for hook specifications 0, and this ablate has 1 to 2: upgrade the plug"),
        ("1.0", "must be a whole number, not '1.0'"),
    ],
)
def test_the_specifications_that_a_plugin_was_written_for(
    declared: Any, why: str | None, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implementations, "HOOKSPEC_VERSION", 2)
    found = install(dated=PLUGIN.format(repr(declared)))
    assert set(found.optimizations) == ({"it"} if why is None else set())
    assert (why or "") in found.broken.get("it", "")


def test_a_plugin_that_does_not_say_is_taken() -> None:
    check_version(Plugin())
    check_version(plugins)


class Specs:
    """Specifications of a later ablate."""

    @hookspec(
        warn_on_impl=HookDeprecated("ablate_load", "ablate_load_model", since=2, until=4),
    )
    def ablate_load(self, model: Any) -> Any:
        """Was renamed."""

    @hookspec(
        warn_on_impl_args={
            "device": HookDeprecated("device of ablate_setup", "limits.device", since=3, until=5)
        }
    )
    def ablate_setup(self, limits: Any, device: str) -> Any:
        """Lost an argument."""


@dataclass(frozen=True)
class Old(Plugin):
    """Uses all that is deprecated."""

    hookspec_version: ClassVar[int] = 1

    @hookimpl
    def ablate_load(self, model: Any) -> Any:
        return object()

    @hookimpl
    def ablate_setup(self, limits: Any, device: str) -> Any:
        return object()


@dataclass(frozen=True)
class New(Plugin):
    """Uses nothing of it."""

    @hookimpl
    def ablate_setup(self, limits: Any) -> Any:
        return object()


def test_deprecated_hooks_and_arguments_name_their_replacement() -> None:
    assert deprecations(Old, Specs) == (
        "ablate_load is deprecated since hook specifications 2 and goes with 4: "
        "use ablate_load_model instead",
        "device of ablate_setup is deprecated since hook specifications 3 and goes with 5: "
        "use limits.device instead",
    )
    assert deprecations(New, Specs) == ()
    assert set(hooks_of(Old, Specs)) == {"ablate_load", "ablate_setup"}  # they still work


def test_whoever_builds_an_arm_with_a_deprecated_hook_is_warned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugins, "new_manager", lambda: implementations.new_manager(Specs))
    plugins.ArmPlugins({"new": New()})
    with pytest.warns(HookDeprecated) as warned:
        plugins.ArmPlugins({"old": Old()})
    assert len(warned) == 2
