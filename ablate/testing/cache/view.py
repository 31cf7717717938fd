"""What the new tokens of a step see of what a store reads.

A view is ``[R, G or 1, q, L]``: the position of each entry as each new token sees it, negative what
it does not see. Shapes: G key/value heads, D head size, L entries that are read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ablate.engines.local.batch import Group
from ablate.engines.local.interfaces import KVStore


class StoreError(Exception):
    """What a store did that a store may not do, as a sentence."""


def shared_view(store: KVStore, group: Group) -> Tensor | None:
    """The view of all layers and heads; None: every token, in order."""
    given = store.positions(group)
    if given is None:
        return None
    queries = f"{group.q} or 1"
    _check_form(given, "positions", f"({group.rows}, {queries}, entries)", (group.rows,), group.q)
    return _checked(given[:, None], group, "positions")


def layer_view(store: KVStore, layer: int, group: Group, heads: int) -> Tensor | None:
    """The view of one layer, of a store that has others for each; None: the shared one."""
    given = store.layer_positions(layer, group)
    if given is None:
        return None
    wanted = f"({group.rows}, {heads}, {group.q} or 1, entries)"
    _check_form(given, "layer_positions", wanted, (group.rows, heads), group.q)
    return _checked(given, group, "layer_positions")


def _check_form(given: Tensor, name: str, wanted: str, first: tuple[int, ...], q: int) -> None:
    shape = tuple(given.shape)
    fits = len(shape) == len(first) + 2 and shape[:-2] == first and shape[-2] in (1, q)
    if not fits or given.is_floating_point():
        raise StoreError(
            f"{name}() should give whole numbers of shape {wanted}, and gave {shape} in "
            f"{given.dtype}"
        )


def _checked(given: Tensor, group: Group, name: str) -> Tensor:
    queries = group.queries[:, None, :, None]
    view = torch.where(given > queries, -1, given)
    if not bool(((view == queries).sum(3) == 1).all()):
        raise StoreError(f"{name}() should let every new token see itself, once")
    return view


def unfolded(row: Tensor, view: Tensor) -> Tensor:
    """A row's entries ``[2, G, L, D]`` where they are in the sequence; 0 what none sees.

    ``view``: the row's.
    """
    positions = view.amax(1)  # the same for all that see it
    whole = row.new_zeros((*row.shape[:2], int(positions.max()) + 1, row.shape[3]))
    for head, places in enumerate(positions.expand(row.shape[1], -1)):
        seen = (places >= 0).nonzero().flatten()
        whole[:, head, places[seen]] = row[:, head, seen]
    return whole


def attention(queries: Tensor, keys: Tensor, view: Tensor | None, group: Group) -> Tensor:
    """Weights ``[R, G, q, L]`` of queries ``[R, G, q, D]`` on those keys that they see."""
    every = torch.arange(keys.shape[2], device=keys.device)
    places = every if view is None else view
    seen = (places >= 0) & (places <= group.queries[:, None, :, None])
    scores = torch.matmul(queries, keys.transpose(2, 3)) * float(queries.shape[3] ** -0.5)
    return scores.masked_fill(~seen, -torch.inf).softmax(-1).float()
