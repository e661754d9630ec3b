"""The door: what every request passes before anything else looks at it, and every answer on its way out.

Written against the bare ASGI interface, because it stands on the path of every request.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palate.serving.metrics import Metrics
from palate.serving.problems import from_exception, problem
from palate.serving.settings import ServingSettings, hash_api_key

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class _TooLargeError(Exception):
    """More bytes came than are allowed."""


class Door:
    """Limits, keys, headers, counts, and the last word when something unexpected happens.

    Parameters
    ----------
    app
        What lies behind the door.
    """

    def __init__(self, app: ASGIApp, settings: ServingSettings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, begun, left = time.perf_counter(), 500, False, self._settings.max_body_bytes

        async def bounded() -> Message:
            """No more bytes than allowed, whatever the headers promised."""
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLargeError
            return message

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if left < 0 and not begun:
                return  # what the application makes of a body cut short is not the answer
            await leave(message)

        async def leave(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        try:
            if refusal is not None:
                await refusal(scope, receive, leave)
            elif scope["method"] in _BODY_METHODS:
                await self._app(scope, bounded, answer)
            else:
                await self._app(scope, receive, leave)
        except _TooLargeError:
            await self._too_large()(scope, receive, leave)
        except Exception as error:  # the last word: whatever happened, the client hears no trace of it
            response = from_exception(error)
            if not begun:
                await response(scope, receive, leave)
        else:
            if left < 0 and not begun:
                await self._too_large()(scope, receive, leave)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(route, status, time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Why a request is turned away at sight of its headers; None where it may pass."""
        headers = dict(scope["headers"])
        if self._hosts and _host(headers.get(b"host", b"")) not in self._hosts:
            return problem(421, "This server does not answer to that host name.", name="host")
        path = scope["path"]
        keyed = path.startswith("/v1/") or path in ("/metrics", "/openapi.json")
        if self._settings.api_key_hashes and keyed and not self._has_key(headers):
            return problem(
                401,
                "An API key is needed: send it as Authorization: Bearer KEY.",
                name="key",
                headers={"www-authenticate": "Bearer"},
            )
        if scope["method"] in _BODY_METHODS:
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > self._settings.max_body_bytes:
                return self._too_large()
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            if kind != b"application/json" and path.startswith("/v1/"):
                found = kind.decode("ascii", "replace") or "no content type"
                return problem(415, f"The body is sent as {found}; send application/json.", name="content-type")
        return None

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        sent = headers.get(b"x-api-key", b"") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        digest = hash_api_key(sent.decode("latin-1"))
        return any_equal(digest, self._settings.api_key_hashes)

    def _too_large(self) -> ASGIApp:
        return problem(
            413, f"The body has more than {self._settings.max_body_bytes:,} bytes; send it in parts.", name="too-large"
        )


def any_equal(value: str, others: Iterable[str]) -> bool:
    """Whether one of the others equals the value; takes as long whichever it is."""
    found = False
    for other in others:
        found |= hmac.compare_digest(value, other)
    return found


def _host(header: bytes) -> str:
    """The host name of a Host header without its port."""
    name = header.decode("latin-1").lower()
    if name.startswith("["):
        return name.split("]")[0] + "]"
    return name.rsplit(":", 1)[0] if ":" in name else name
