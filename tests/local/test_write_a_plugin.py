"""The plugin in docs/how-to/write-a-plugin.md works as it stands there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from ablate.plugins import Plugin, hooks_of
from ablate.testing import check_plugin, tiny_model
from tests.local.serving import open_session, prompts_of_many_lengths, serve

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md"


@pytest.fixture
def kv_clipped(monkeypatch: pytest.MonkeyPatch) -> type[Plugin]:
    code = PAGE.read_text().split("```python\n")[1].split("```")[0]
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # dataclasses look their module up
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    plugin: type[Plugin] = module.KvClipped
    return plugin


def test_the_page_s_plugin_takes_effect(kv_clipped: type[Plugin], tmp_path: Path) -> None:
    assert hooks_of(kv_clipped) == {"ablate_setup_cache": "plain", "ablate_evidence": "plain"}
    path = tiny_model(tmp_path)
    plain = serve(open_session(path), prompts_of_many_lengths(6))
    session = open_session(path, plugins={"kv_clipped": kv_clipped()})
    small = serve(session, prompts_of_many_lengths(6))
    evidence = kv_clipped().ablate_evidence(session.evidence_state("measured"))  # type: ignore[attr-defined]
    assert evidence.applied
    peaks = [max((u.kv_allocated_bytes or 0) for u in s.usage) for s in (plain, small)]
    assert peaks[0] == 4 * peaks[1]


def test_the_page_s_plugin_passes_its_checks(kv_clipped: type[Plugin]) -> None:
    check_plugin(kv_clipped)


def test_the_page_s_plugin_refuses_a_bad_option(kv_clipped: type[Plugin]) -> None:
    with pytest.raises(ValueError, match="between 0 and 448"):
        kv_clipped(clip=500.0)  # type: ignore[call-arg]
