"""KV stores that do not give every token as it was computed, against what they should give."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ablate.engines.local.batch import Batch, Group
from tests.local.test_store import LAYERS, StoreMachine, vector


class ViewMachine(StoreMachine):
    """Admits, extends by several rows at once, rolls back and frees sequences.

    What each new token sees is compared with ``expected``.
    """

    @abstractmethod
    def expected(self, truth: Tensor, position: int) -> dict[int, Tensor]:
        """By position what the token at ``position`` sees of ``truth``, vectors ``[2, L, G, D]``.

        ``truth`` ends with the last token of the step.
        """

    def run_batch(self, batch: Batch) -> None:
        self.store.begin(batch)
        views = [self.store.positions(group) for group in batch.groups]
        for layer in range(LAYERS):
            places = [(t, s.start + i) for s in batch.spans for i, t in enumerate(s.tokens)]
            new = torch.stack([vector(t, p, layer) for t, p in places])
            self.store.append(layer, new, -new)
            for group, view in zip(batch.groups, views, strict=True):
                assert view is not None
                self.check_group(layer, group, view)

    def check_group(self, layer: int, group: Group, view: Tensor) -> None:
        read = torch.stack(self.store.read(layer, group), dim=1)
        assert read.isfinite().all()
        view = view.expand(-1, group.q, -1)
        for row, span in enumerate(group.spans):
            tokens = [*self.seqs[span.seq_id].tokens[: span.start], *span.tokens]
            keys = torch.stack([vector(t, p, layer) for p, t in enumerate(tokens)])
            truth = torch.stack([keys, -keys])
            for i in range(group.q):
                self.check_token(read[row], view[row, i], truth, span.start + i)

    def check_token(self, read: Tensor, view: Tensor, truth: Tensor, position: int) -> None:
        expected = self.expected(truth, position)
        seen = [(int(p), e) for e, p in enumerate(view) if 0 <= p <= position]
        assert sorted(p for p, _ in seen) == sorted(expected)
        for p, entry in seen:
            torch.testing.assert_close(read[:, :, entry], expected[p], atol=1e-6, rtol=1e-6)
