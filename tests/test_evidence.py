"""Evidence from what an engine says of itself."""

from __future__ import annotations

from ablate.evidence import resolved, told
from ablate.types import EvidenceState
from tests.engines.serving import state

ASKED = {"max_num_seqs": 8, "enforce_eager": True}


def test_all_as_asked() -> None:
    shown = resolved("x", state("vllm", max_num_seqs=8, enforce_eager=True), ASKED)
    assert shown.applied is True
    assert shown.detail == ("max_num_seqs is 8, asked for 8; enforce_eager is True, asked for True")
    assert shown.numbers == {"max_num_seqs": 8.0}


def test_text_is_read_as_the_value_it_spells() -> None:
    assert resolved("x", state("x", max_num_seqs="8", enforce_eager="True"), ASKED).applied is True


def test_one_setting_otherwise_is_a_no_even_at_warm_up() -> None:
    early = state("vllm", stage="warmup", max_num_seqs=4)
    assert resolved("x", early, ASKED).applied is False


def test_a_setting_that_is_not_told() -> None:
    shown = resolved("x", state("vllm", max_num_seqs=8, enforce_eager=None), ASKED)
    assert shown.applied is False
    assert shown.detail.endswith("the engine does not say what its enforce_eager is")
    assert resolved("x", state("vllm", stage="warmup", max_num_seqs=8), ASKED).applied is None


def test_an_engine_without_facts() -> None:
    assert told(EvidenceState("sglang", "measured", {}, {})) == {}
