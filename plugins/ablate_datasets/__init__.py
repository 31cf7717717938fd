"""The field's data sets as domains."""

from __future__ import annotations

from ablate.plugins import Registry, hookimpl
from ablate_datasets.aime import Aime24, Aime25
from ablate_datasets.bbh import Bbh
from ablate_datasets.gpqa import Gpqa
from ablate_datasets.gsm8k import Gsm8k
from ablate_datasets.humaneval import HumanEval
from ablate_datasets.jsonl import Jsonl
from ablate_datasets.livecodebench import LiveCodeBench
from ablate_datasets.math500 import Math500
from ablate_datasets.mbpp import Mbpp
from ablate_datasets.mmlu_pro import MmluPro

MATHEMATICS = (Gsm8k, Math500, Aime24, Aime25)
PROGRAMS = (HumanEval, Mbpp, LiveCodeBench)
BUILT_IN = (*MATHEMATICS, Gpqa, MmluPro, Bbh, *PROGRAMS, Jsonl)


@hookimpl
def ablate_register(registry: Registry) -> None:
    """Adds every data set."""
    for domain in BUILT_IN:
        registry.add("domain", domain.name, domain)
