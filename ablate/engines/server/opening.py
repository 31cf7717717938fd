"""Getting to a server that answers: started or found, its model checked, its facts asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ablate.child import Service
from ablate.engines.base import EngineContext
from ablate.engines.server import ServerEngine
from ablate.engines.server.asking import Asker, Endpoint
from ablate.engines.server.client import Client, ServerError
from ablate.engines.server.launchers import Dialect, dialect_of
from ablate.engines.server.process import HOST, failure, launch, wait_until_up
from ablate.engines.server.session import ServerSession
from ablate.engines.text import Codebook
from ablate.errors import TrialError
from ablate.types import EngineFacts, ModelSpec

FACTS_TIMEOUT = 120.0


def open_session(options: ServerEngine, context: EngineContext) -> ServerSession:
    """Raises TrialError, leaving nothing behind, if the server cannot be used."""
    codebook = _codebook(options, context.model)
    service, port = None, None
    if options.launcher:
        service, port = launch(options, options.launcher, context)
    client = None
    try:
        url = options.base_url or f"http://{HOST}:{port}/v1"
        client = Client(url, os.environ.get(options.api_key_env or ""))
        if service is not None and port is not None:
            wait_until_up(service, port, client, options)
        return _talking(options, context, codebook, service, client)
    except BaseException as error:
        if client is not None:
            client.close()
        known = failure(service, error) if isinstance(error, ServerError) else None
        if service is not None:
            service.close()
        if known is not None:
            raise known from error
        raise


def _talking(
    options: ServerEngine,
    context: EngineContext,
    codebook: Codebook | None,
    service: Service | None,
    client: Client,
) -> ServerSession:
    served = _served(client)
    model, owner = _choice(options, context.model, served)
    launcher = options.launcher
    dialect = launcher.dialect if launcher else dialect_of(owner)
    asker = Asker(model, _endpoint(options, codebook), dialect, context.sampling, codebook)
    facts = _facts(options, client)
    facts = replace(facts, settings={"model": model, **facts.settings})
    return ServerSession(options, service, client, asker, facts, _metrics(client, dialect))


def _codebook(options: ServerEngine, model: ModelSpec) -> Codebook | None:
    """None where the tokenizer is not on this machine and nothing needs it."""
    try:
        return Codebook(model)
    except TrialError:
        if options.endpoint == "completions":
            raise
        return None


def _endpoint(options: ServerEngine, codebook: Codebook | None) -> Endpoint:
    if options.endpoint != "auto":
        return options.endpoint
    return "chat" if codebook is None else "completions"


def _served(client: Client) -> Sequence[dict[str, Any]]:
    answer = client.get("models")
    if answer.status != 200:
        raise ServerError(f"/v1/models answered {answer.status}: {answer.text[:300]}")
    try:
        return [dict(model) for model in json.loads(answer.text)["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"/v1/models answered: {answer.text[:300]}") from error


def _choice(
    options: ServerEngine, model: ModelSpec, served: Sequence[dict[str, Any]]
) -> tuple[str, str]:
    """The id under which the model is served, and what the server calls itself."""
    ids = {str(one.get("id")): str(one.get("owned_by", "")) for one in served}
    wanted = options.served_model_name
    if wanted is None and options.launch and len(ids) == 1:
        return next(iter(ids.items()))
    known = [name for name in (wanted or model.name, model.path) if name in ids]
    if wanted is not None and wanted not in ids:
        known = []
    if not known:
        raise ServerError(
            f"the server does not serve {wanted or model.name!r}; it serves: "
            f"{', '.join(map(repr, ids)) or 'nothing'} (option: served_model_name)"
        )
    return known[0], ids[known[0]]


def _facts(options: ServerEngine, client: Client) -> EngineFacts:
    """What the server says of itself, if its launcher knows how to ask and it answers."""
    call = options.launcher.facts if options.launcher else None
    if call is None:
        return EngineFacts()
    if call.body is None:
        answer = client.get(call.path, FACTS_TIMEOUT)
    else:
        answer = client.post(call.path, call.body, FACTS_TIMEOUT)
    if answer.status != 200:
        return EngineFacts()
    return call.read(json.loads(answer.text))


def _metrics(client: Client, dialect: Dialect) -> str | None:
    """Where its metrics page is, if it has one that we can read."""
    if not dialect.gauges:
        return None
    return "/metrics" if client.get("/metrics").status == 200 else None
