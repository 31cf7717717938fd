"""Sampling whose randomness belongs to the request, not to the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ablate.engines.local.interfaces import Sampler
from ablate.types import Sampling

# What a number is drawn for. A position has one number per purpose, so that speculative decoding
# accepts, replaces and drafts with independent randomness.
SAMPLE, ACCEPT, DRAFT = 0, 1, 2

_MASK = (1 << 64) - 1


class SeededSampler(Sampler):
    """Greedy at temperature 0; else temperature and top-p (nucleus, Holtzman et al. 2020)."""

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p

    @property
    def greedy(self) -> bool:
        return self._temperature == 0

    def probs(self, logits: Tensor) -> Tensor:
        probs = torch.softmax(logits.float() / self._temperature, dim=-1)
        return probs if self._top_p >= 1 else _nucleus(probs, self._top_p)

    def draw(self, probs: Tensor, uniforms: Sequence[float]) -> list[int]:
        # inverse of the distribution function in float64: float32 sums of a large vocabulary drift
        sums = probs.double().cumsum(-1)
        target = torch.tensor(uniforms, dtype=torch.float64, device=probs.device)[:, None]
        tokens = torch.searchsorted(sums, target * sums[:, -1:], right=True)
        return [int(t) for t in tokens.clamp_max(probs.shape[-1] - 1)[:, 0].tolist()]

    def uniform(self, seed: int, position: int, stream: int) -> float:
        mixed = _mix(_mix(_mix(seed & _MASK) ^ position) ^ stream)
        return (mixed >> 11) * 2.0**-53


def most_likely(logits: Tensor) -> list[int]:
    """The best token of each row ``[M, V]``, the first of equals."""
    if logits.device.type != "cpu":
        return [int(t) for t in logits.argmax(-1).tolist()]
    # on a CPU, NumPy's argmax takes a tenth of the time of torch's
    if logits.dtype == torch.bfloat16:
        # NumPy lacks it; read as integers, numbers above zero are in the same order, above all else
        bits = logits.view(torch.int16).numpy()
        best = bits.argmax(-1)
        if (np.take_along_axis(bits, best[:, None], -1) > 0).all():
            return [int(t) for t in best]
    return [int(t) for t in logits.float().numpy().argmax(-1)]


def _nucleus(probs: Tensor, top_p: float) -> Tensor:
    """Keep the smallest set of most likely tokens whose probability reaches ``top_p``."""
    ranked, index = probs.sort(dim=-1, descending=True)
    before = ranked.cumsum(-1) - ranked
    kept = ranked.masked_fill(before >= top_p, 0.0)
    out = torch.zeros_like(probs).scatter_(-1, index, kept)
    return out / out.sum(-1, keepdim=True)


def _mix(x: int) -> int:
    """SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit numbers that looks random."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
