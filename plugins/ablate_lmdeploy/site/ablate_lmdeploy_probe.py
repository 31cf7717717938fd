"""LMDeploy's command line, with one more page: the engine's settings, as it resolved them.

``python -m ablate_lmdeploy_probe serve api_server …`` is ``python -m lmdeploy serve api_server …``.
"""

from __future__ import annotations

from typing import Any

PAGE = "/ablate/settings"


def add_page() -> None:
    """Have LMDeploy's router answer ``PAGE`` with those settings that are plain values."""
    from lmdeploy.serve.openai.endpoints import models

    register = models.register

    def more(router: Any, server_context: Any) -> None:
        register(router, server_context)

        @router.get(PAGE)  # type: ignore[untyped-decorator]
        def settings() -> dict[str, Any]:
            return plain(server_context.engine_config)

    models.register = more


def plain(config: Any) -> dict[str, Any]:
    """The fields of a settings object that are plain values."""
    kinds = (bool, int, float, str, type(None))
    found = {name: value for name, value in vars(config).items() if isinstance(value, kinds)}
    return {"engine": type(config).__name__, **found}


if __name__ == "__main__":
    try:
        add_page()
    except ImportError as error:
        print(f"ablate: this LMDeploy cannot be made to tell its settings: {error}", flush=True)
    from lmdeploy.cli import run

    run()
