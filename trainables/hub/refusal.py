"""What is said when the hub refuses, fails or breaks off: one line with the cause and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainables.errors import one_line
from trainables.hub.repository import Repository

KEPT = "what has arrived is kept"


def refusal(repository: Repository, error: BaseException) -> str:
    """Why a repository cannot be fetched, in one line."""
    from huggingface_hub import constants, errors

    chain = list(_causes(error))

    def caused(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in chain if isinstance(cause, kinds)), None)

    if (invalid := caused(errors.HFValidationError)) is not None:
        return f"{repository}: {one_line(invalid)}"
    if caused(errors.RevisionNotFoundError):
        return f"{repository}: the hub has no revision {repository.revision!r} of it"
    if caused(errors.GatedRepoError):
        page = "/".join([constants.ENDPOINT, *(["datasets"] if repository.kind == "dataset" else []), repository.name])
        return f"{repository} is gated: accept its licence at {page}, then type `hf auth login` and the command again"
    if caused(errors.RepositoryNotFoundError):
        private = "if it is private, type `hf auth login`"
        return f"{repository}: the hub has none that you may read ({private}); or set {repository.instead}"
    if caused(errors.DisabledRepoError):
        return f"{repository}: the hub has disabled it; set {repository.instead}"
    response = next((r for cause in chain if (r := getattr(cause, "response", None)) is not None), None)
    if response is not None:
        return _answered(repository, response.status_code, error)
    # A broken connection is an error of HTTP, or one of the operating system without a file.
    if caused(errors.HTTPError, ConnectionError, TimeoutError):
        broken = one_line(caused(errors.HTTPError, ConnectionError, TimeoutError) or error)
        return f"{repository}: the connection to the hub broke off ({broken}); type the command again: {KEPT}"
    full = next((cause for cause in chain if isinstance(cause, OSError) and cause.errno), None)
    if full is not None and full.errno:
        why = os.strerror(full.errno)
        return f"{repository} cannot be kept in {repository.cached().parent}: {why}; make room, or set HF_HOME"
    if "Consistency check failed" in str(error):
        return f"{repository}: a file did not arrive whole; type the command again: {KEPT}"
    return f"{repository} cannot be fetched ({one_line(error)}); {repository.remedy()}"


def _answered(repository: Repository, status: int, error: BaseException) -> str:
    if status == 429:
        return f"{repository}: the hub answers 429, too many requests; try again in some minutes: {KEPT}"
    if status >= 500:
        return f"{repository}: the hub has an error of its own ({status}); try again later: {KEPT}"
    if status in (401, 403):
        return f"{repository}: the hub refuses your token ({status}); type `hf auth login` and the command again"
    return f"{repository}: the hub answers {status} ({one_line(error)}); or set {repository.instead}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
