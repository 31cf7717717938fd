"""Fetches the rows of a data set from the Hugging Face hub, at a commit that is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from huggingface_hub import HfApi, constants, errors, hf_hub_download

from ablate.errors import RecipeError, did_you_mean
from ablate_datasets import local

if TYPE_CHECKING:
    from ablate_datasets.source import Source

INSTEAD = (
    "run once with a connection ('ablate plan RECIPE' is enough), or set path: to a local copy"
)

# By name: the library that huggingface_hub speaks HTTP with differs between its versions.
UNREACHABLE = frozenset({"TransportError", "ConnectionError", "Timeout", "TimeoutError"})


def fetch(source: Source) -> tuple[str, Iterator[Mapping[str, Any]]]:
    """Commit and rows, the latter as they are asked for: some data sets are larger than memory.

    Asking for the commit first and for the rows at that commit makes what is recorded what is read.
    Raises RecipeError saying why something cannot be had and what to do about it.
    """
    with _explaining(source):
        commit = str(HfApi().dataset_info(source.id, revision=source.revision).sha)
    return commit, _rows(source, commit)


def _rows(source: Source, commit: str) -> Iterator[Mapping[str, Any]]:
    with _explaining(source):
        yield from _files(source, commit) if source.files else _split(source, commit)


@contextmanager
def _explaining(source: Source) -> Iterator[None]:
    try:
        yield
    except RecipeError:
        raise
    except Exception as error:  # datasets passes on whatever the readers of its formats raise
        raise RecipeError([_explained(error, source)]) from error


def _files(source: Source, commit: str) -> Iterator[Mapping[str, Any]]:
    for name in source.files:
        path = hf_hub_download(source.id, name, repo_type="dataset", revision=commit)
        yield from local.read(Path(path), source.split)


def _split(source: Source, commit: str) -> Iterator[Mapping[str, Any]]:
    if Path(source.id).exists():  # it would be read in place of the hub's
        raise RecipeError(
            [f"the working directory has a folder {source.id}: set path: to read it, or rename it"]
        )
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        # A cache of its own: the library's would keep the rows a second time, as plain text.
        with tempfile.TemporaryDirectory(prefix="ablate-") as cache:
            yield from datasets.load_dataset(
                source.id,
                source.config,
                split=source.split,
                revision=commit,
                cache_dir=cache,
            )
    finally:
        if shown:
            datasets.enable_progress_bars()


def _explained(error: Exception, source: Source) -> str:
    causes = list(_causes(error))
    if any(isinstance(e, errors.OfflineModeIsEnabled) for e in causes):
        return f"{source.id} is not in the cache, and HF_HUB_OFFLINE is set: unset it, {INSTEAD}"
    words = next((w for e in causes if (w := _refused(e, source))), None)
    if words:
        return words
    if any(c.__name__ in UNREACHABLE for e in causes for c in type(e).__mro__):
        return (
            f"cannot reach {constants.ENDPOINT} to fetch the data set {source.id} "
            f"({_first_line(causes[-1])}): {INSTEAD}"
        )
    said = dict.fromkeys(map(_first_line, (error, causes[-1])))
    return f"the data set {source.id} cannot be fetched: {': '.join(said)}"


def _refused(error: BaseException, source: Source) -> str | None:
    """What one of the hub's or the library's own errors means; None for any other."""
    page = f"https://huggingface.co/datasets/{source.id}"
    # datasets replaces the hub's error by one of its own and drops the cause.
    if isinstance(error, errors.GatedRepoError) or "is a gated dataset" in str(error):
        return (
            f"the data set {source.id} is only for those who accept its terms: accept them at "
            f"{page}, then run 'hf auth login' or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the data set {source.id} has no revision {source.revision!r}: see {page}/commits"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no data set {source.id} on the hub, or it is private: check the name, or "
            "run 'hf auth login'"
        )
    if isinstance(error, errors.HFValidationError):
        return f"{source.id!r} is not the name of a data set: it must be OWNER/NAME"
    absent = isinstance(error, errors.EntryNotFoundError)
    if absent and not isinstance(error, errors.LocalEntryNotFoundError):  # that one: no connection
        return f"the data set {source.id} does not have all of {', '.join(source.files)}"
    return _misnamed(str(error), source) if isinstance(error, ValueError) else None


def _misnamed(said: str, source: Source) -> str | None:
    """The library's words for a configuration or split that does not exist."""
    known = [word.strip(" '\"") for word in said.partition("[")[2].partition("]")[0].split(",")]
    if said.startswith("BuilderConfig"):
        return (
            f"the data set {source.id} has no configuration {source.config!r}."
            f"{did_you_mean(source.config or '', known)}"
        )
    if said.startswith("Unknown split"):
        return (
            f"the data set {source.id} has no split {source.split!r}."
            f"{did_you_mean(source.split, known)}"
        )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
