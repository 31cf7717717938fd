"""An OpenAI-compatible server that says what it is told to, and fails as it is told to.

``FakeServer`` runs it in this process; ``python -m ablate.testing.fake_server`` in one of its own.
``ablate.testing.fake_server.launcher`` adds the launcher ``fake`` where it is an entry point of the
group ``ablate``.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ablate.testing.fake_server.behaviour import OUTPUT, Behaviour

if TYPE_CHECKING:
    from aiohttp import web

    from ablate.testing.fake_server.app import Fake

__all__ = ["FakeServer", "Behaviour", "OUTPUT"]


class FakeServer:
    """The server in a thread of this process, while the ``with`` block lasts.

    ``model``: the folder whose tokenizer it has. ``behaviour``: fields of ``Behaviour``, such as
    ``text``, ``delay`` (seconds before each chunk) or ``fault``; the faults that end a process
    (``die``, ``oom``, ``kill``) would end this one. Needs aiohttp.
    """

    def __init__(self, model: Path | str, **behaviour: Any) -> None:
        self.behaviour = Behaviour(**{"model": str(model), "port": 0, **behaviour})
        self.url = ""
        self._thread: threading.Thread | None = None

    @property
    def asked(self) -> list[tuple[str, dict[str, Any]]]:
        """Path and body of each request so far."""
        return self.fake.asked

    def start(self) -> Self:
        """Serve at ``url``."""
        from ablate.testing.fake_server.app import Fake  # aiohttp: only where it is used

        self.fake: Fake = Fake(self.behaviour)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        self._runner, port = starting.result()
        self.url = f"http://{self.behaviour.host}:{port}"
        return self

    def stop(self) -> None:
        """End it; without effect where it does not run."""
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self) -> tuple[web.AppRunner, int]:
        from aiohttp import web

        runner = web.AppRunner(self.fake.application(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.behaviour.host, self.behaviour.port).start()
        return runner, runner.addresses[0][1]
