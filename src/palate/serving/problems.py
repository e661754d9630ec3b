"""Errors as application/problem+json (RFC 9457): what was found, where, how to mend it; never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from palate.core import ArtefactError, DataError, NotFittedError, PalateError, UnknownIdError, UsageError
from palate.core.configuration import complaint
from palate.data.event_log import LogFullError
from palate.serving.responses import Problem

MEDIA_TYPE = "application/problem+json"
_MOST_MISTAKES = 50
_STATUS: tuple[tuple[type[PalateError], HTTPStatus, str], ...] = (
    (UnknownIdError, HTTPStatus.NOT_FOUND, "unknown-id"),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY, "usage"),
    (DataError, HTTPStatus.BAD_REQUEST, "data"),
    (LogFullError, HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    (NotFittedError, HTTPStatus.SERVICE_UNAVAILABLE, "not-ready"),
    (ArtefactError, HTTPStatus.SERVICE_UNAVAILABLE, "not-ready"),
)
_logger = logging.getLogger("palate.serving")


def problem(
    status: int,
    detail: str,
    *,
    name: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document.

    Parameters
    ----------
    status
        HTTP status.
    detail
        What went wrong and how to mend it, a sentence.
    name
        Short stable name of this sort of problem, for programs.
    errors
        ``{"at", "problem"}`` for each thing that is wrong.
    """
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:palate:problem:{name}" if name else "about:blank",
        "title": title,
        "status": status,
        "detail": _printable(detail),
    }
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return Response(orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def from_exception(error: Exception) -> Response:
    """The problem document of an error; one nobody expected is logged with its trace and answered without."""
    if isinstance(error, PalateError):
        for kind, status, name in _STATUS:
            if isinstance(error, kind):
                headers = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
                return problem(status, str(error), name=name, headers=headers)
    _logger.error("a request failed unexpectedly", exc_info=error)
    return problem(500, "Something went wrong here, not in your request. The server's log has the details.")


def install(app: FastAPI) -> None:
    """Let an application answer every error as a problem document."""

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what this handler is registered for
        mistakes = [
            {"at": _printable(_path(each["loc"])), "problem": _printable(_sentence(each))}
            for each in error.errors()[:_MOST_MISTAKES]
        ]
        first = mistakes[0]
        more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
        detail = f"{first['at']}: {first['problem']}{more}. Nothing was done."
        return problem(422, detail, name="invalid", errors=mistakes)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what this handler is registered for
        if error.status_code == 404:
            return problem(404, f"There is nothing at {request.url.path}. See /openapi.json.", name="not-found")
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return problem(405, f"{request.url.path} answers {allowed}, not {request.method}.", headers=error.headers)
        return problem(error.status_code, str(error.detail), headers=error.headers)

    async def ours(_: Request, error: Exception) -> Response:
        return from_exception(error)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(PalateError, ours)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses as problem documents, for the OpenAPI document."""
    schema = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, **schema} for status in sorted(statuses)
    }


def _path(location: Sequence[object]) -> str:
    parts = [str(part) for part in location]
    if parts[0] == "body" and len(location) == 2 and isinstance(location[1], int):
        return f"body, character {location[1]}"  # JSON that could not be read
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path") else parts)


def _sentence(error: Mapping[str, Any]) -> str:
    message = complaint(error)
    if error["type"] == "json_invalid":
        return f"this is not JSON: {error.get('ctx', {}).get('error', message)}"
    if error["type"] == "extra_forbidden":
        return "there is no such field here; /openapi.json names those there are"
    return message


def _printable(text: str) -> str:
    """Without halves of characters, which JSON in UTF-8 cannot carry, and not longer than anybody reads."""
    return text[:1_000].encode("utf-8", "replace").decode()
