"""Checks of what a plugin brings, and small real things to test it with.

```python
from ablate.testing import check_plugin

from my_package import MyPlugin


def test_it_keeps_its_promises():
    check_plugin(MyPlugin())
```

``check_plugin``, ``check_cache``, ``check_domain``, ``check_engine``, ``check_arrival`` and
``check_metric`` raise ``CheckError`` with every failure, each a sentence. ``examine_plugin`` and
the others return what was looked at instead, good and bad, as ``ablate plugins check`` prints it.
They run real components on a random two-layer model, on CPU.

``tiny_model``, ``FakeClock`` and ``FakeServer`` are what tests run on. pytest has them as the
fixtures ``tiny_model``, ``fake_clock`` and ``fake_server`` wherever ``ablate`` is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.testing.clock import FakeClock
from ablate.testing.fake_server import FakeServer
from ablate.testing.findings import CheckError, Finding, demand

if TYPE_CHECKING:
    from ablate.arrivals import Arrival
    from ablate.domains.base import Domain
    from ablate.engines.base import Engine
    from ablate.engines.local.interfaces import KVStore
    from ablate.plugins import Plugin
    from ablate.trial_metric import TrialMetric
    from ablate.types import Limits, Problem

__all__ = [
    "check_plugin",
    "check_cache",
    "check_domain",
    "check_engine",
    "check_arrival",
    "check_metric",
    "examine_plugin",
    "examine_cache",
    "examine_domain",
    "examine_engine",
    "examine_arrival",
    "examine_metric",
    "CheckError",
    "Finding",
    "tiny_model",
    "FakeClock",
    "FakeServer",
]


def check_plugin(plugin: Plugin | type[Plugin], *, model: Path | None = None) -> None:
    """An optimization does what it says, and says what it does.

    A class is checked with its default options, or its ``example``. ``model``: the checkpoint to
    run it on; None: ``tiny_model()``. Looked at:

    - *hooks*: every hook has a name and arguments that ``ablate`` knows;
    - *options*: they come back from YAML as they were, and the docstring says what they are;
    - *requirements*: problems are reported, not raised; capabilities are known ones;
    - *engine arguments*: a mapping or None, the same each time, fit for JSON once values that are
      made when the engine opens are left out;
    - *components*: each hook returns what it is asked for, and everything asked is served;
    - *evidence*: "applied" with the plugin, and not on an engine that it never touched; numbers;
    - *lossless*: a plugin that claims it gives the baseline's greedy answers in float32, one
      request at a time and four, up to what two baselines differ by;
    - *capabilities*: what it uses it needs, and its KV store can do what it does not drop.

    Raises CheckError.
    """
    demand(_name(plugin), examine_plugin(plugin, model=model))


def check_cache(
    make_store: Callable[[Any, Limits], KVStore], *, drops: Collection[str] = ()
) -> None:
    """A KV store returns what was put into it, whatever is done in whatever order.

    ``make_store(model, limits)`` is what ``ablate_setup_cache`` does. ``drops``: the capabilities
    that it takes away (``rollback``, ``shared_blocks``). For the shapes of four architectures,
    random sequences of admitting, appending, rolling back and freeing are compared with a fresh
    store that holds one sequence and saw no detours; then its counts, bytes and capacity, whether
    what it takes keeps within the memory that is given while ``fits`` is asked, and blocks exported
    and adopted. A store that loses precision may differ by as much as it loses;
    one that drops tokens says where those that it gives belong, and how many it holds.
    Raises CheckError.
    """
    demand(_name(make_store), examine_cache(make_store, drops=drops))


def check_domain(domain: Domain, *, answer: Callable[[Problem], str] | None = None) -> None:
    """A domain asks the same problems each time, and its grader knows right from wrong.

    ``answer``: a right answer to a problem as a model would write it, made from the problem's
    reference; None: the worked solution, or the reference in one of the usual forms (alone, in
    ``\\boxed{}``, in ``<answer>``, after ``####``, as a Python block). Looked at:

    - *problems*: ids are unique, the same seed gives the same ones, a larger limit the same first
      ones, another seed others where there are enough;
    - *training*: worked problems are right, and are no test problems;
    - *answers*: right ones are correct; another problem's answer, or a number off by one, is not;
    - *no answer*: empty text is ``unparsed``, and ``truncated`` where it was cut off;
    - *endless and odd texts* of a million characters are graded, in seconds;
    - *pickle*: a ``slow`` domain and its problems can be sent to the processes that grade.

    Raises CheckError.
    """
    demand(_name(domain), examine_domain(domain, answer=answer))


def check_engine(engine: Engine, *, model: Path | None = None) -> None:
    """An engine serves, times, counts, stops and closes as the runner expects it to.

    ``model``: the checkpoint to serve; None: ``tiny_model()`` with a chat template. Looked at:

    - *loads*: in a closed and in an open loop every request completes once, at most as many at a
      time as allowed, none before its arrival, with times in their order;
    - *tokens*: counts are the tokenizer's, of chats and of bare text (``chat=False``);
    - *ends*: ``max_tokens`` and ``stop`` are kept to, and greedy answers are the same twice;
    - *evidence state*: both stages, with the components that plugins look at;
    - *hooks*: those that ``calls`` names are asked, and no others;
    - *close*: no process is left.

    Raises CheckError.
    """
    demand(_name(engine), examine_engine(engine, model=model))


def check_arrival(arrival: Arrival) -> None:
    """An arrival process gives as many ascending times as asked, from its seed alone.

    A closed loop says how many requests are in flight. Raises CheckError.
    """
    demand(_name(arrival), examine_arrival(arrival))


def check_metric(metric: TrialMetric) -> None:
    """A metric is a finite number or None, the same each time, of any trial there can be.

    Raises CheckError.
    """
    demand(_name(metric), examine_metric(metric))


def examine_plugin(plugin: Plugin | type[Plugin], *, model: Path | None = None) -> list[Finding]:
    """What ``check_plugin`` looks at, good and bad."""
    from ablate.testing.plugin import examine

    return examine(plugin, model)


def examine_cache(
    make_store: Callable[[Any, Limits], KVStore], *, drops: Collection[str] = ()
) -> list[Finding]:
    """What ``check_cache`` looks at, good and bad."""
    from ablate.testing.cache import examine

    return examine(make_store, frozenset(drops))


def examine_domain(
    domain: Domain, *, answer: Callable[[Problem], str] | None = None
) -> list[Finding]:
    """What ``check_domain`` looks at, good and bad."""
    from ablate.testing.domain import examine

    return examine(domain, answer)


def examine_engine(engine: Engine, *, model: Path | None = None) -> list[Finding]:
    """What ``check_engine`` looks at, good and bad."""
    from ablate.testing.engine import examine

    return examine(engine, model)


def examine_arrival(arrival: Arrival) -> list[Finding]:
    """What ``check_arrival`` looks at, good and bad."""
    from ablate.testing.arrival import examine

    return examine(arrival)


def examine_metric(metric: TrialMetric) -> list[Finding]:
    """What ``check_metric`` looks at, good and bad."""
    from ablate.testing.metric import examine

    return examine(metric)


def tiny_model(folder: Path, architecture: str = "llama", seed: int = 0, **config: Any) -> Path:
    """A random two-layer checkpoint with a byte tokenizer in ``folder``, which is returned.

    ``architecture``: ``llama``, ``qwen2``, ``qwen3`` or ``mistral``. ``config``: fields of the
    transformers configuration to change, such as ``num_key_value_heads``.
    """
    from ablate.testing.models import save

    return save(folder, architecture, seed, **config)


def _name(thing: object) -> str:
    return getattr(thing, "__name__", None) or type(thing).__name__
