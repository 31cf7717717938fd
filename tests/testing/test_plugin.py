"""check_plugin passes what is honest and finds what is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.plugins import Plugin, installed
from ablate.testing import CheckError, check_plugin, examine_plugin
from ablate_draft import Draft
from tests.testing import liars

TinyModel = Callable[..., Path]

STORES = ("h2o", "kivi", "kv_fp8", "kv_int8", "kv_window")
SCHEDULERS = ("fcfs", "length_aware", "longest_first", "priority", "shortest_first")
IN_PROCESS = (*STORES, *SCHEDULERS, "budget_forcing", "ngram", "prefix_cache", "rtn")
# compile has its own, slow, test: in-process it starts a compiler
ARGUMENTS = ("chunked_prefill", "eagle3", "max_num_seqs", "mtp", "parallel")


@pytest.fixture(scope="module")
def model(tiny_model: TinyModel) -> Path:
    """One layer is enough, and quicker than two."""
    return tiny_model(num_hidden_layers=1)


@pytest.mark.parametrize("name", [*IN_PROCESS, *ARGUMENTS])
def test_built_ins_are_honest(name: str, model: Path) -> None:
    check_plugin(installed().optimizations[name], model=model)


def test_a_draft_model_is_honest(model: Path, tiny_model: TinyModel) -> None:
    check_plugin(Draft(str(tiny_model(seed=1, num_hidden_layers=1)), k=3), model=model)


@pytest.mark.parametrize(
    ("plugin", "why"),
    liars.PLUGINS,
    ids=[f"{p.__name__}-{i}" for i, (p, _) in enumerate(liars.PLUGINS)],
)
def test_a_broken_promise_is_found(plugin: type[Plugin], why: str, model: Path) -> None:
    with pytest.raises(CheckError) as caught:
        check_plugin(plugin, model=model)
    assert re.search(why, str(caught.value)), caught.value


def test_each_liar_breaks_one_promise(model: Path) -> None:
    check_plugin(liars.Honest(), model=model)
    check_plugin(liars.Offered(), model=model)


def test_what_was_looked_at_is_told(model: Path) -> None:
    found = examine_plugin(liars.Boaster(), model=model)
    assert {f.check for f in found if not f.ok} == {"evidence without it"}
    assert {"hooks", "options", "components", "serving", "lossless", "needs"} <= {
        f.check for f in found if f.ok
    }


def test_the_error_lists_every_failure(model: Path) -> None:
    with pytest.raises(CheckError) as caught:
        check_plugin(liars.Unwritable, model=model)
    heading, *lines = str(caught.value).splitlines()
    assert heading == "Unwritable fails 2 of its checks:"
    assert [line.split(":")[0] for line in lines] == ["  engine arguments"] * 2
    assert len(caught.value.findings) > 2


def test_a_model_is_made_where_none_is_given() -> None:
    check_plugin(liars.Honest)


def test_options_that_nobody_can_guess_are_asked_for() -> None:
    (finding,) = examine_plugin(Picky)
    assert "say `example`" in finding.message


class Picky(liars.Honest):
    """Cannot be made without being told more."""

    def __init__(self) -> None:
        raise ValueError("more, please")
