"""The server process: granian around the application, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.core import UsageError
from palate.core.threads import one_blas_thread
from palate.data.event_log import EventLog
from palate.privacy import Vault, data_home
from palate.serving.contract import ServedEngine
from palate.serving.settings import ServingSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from palate.pricing.configuration import PricingSettings
    from palate.pricing.quoting import Quoter

DEFAULT_PORT = 8420
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def serve(
    engine: ServedEngine | str | Path,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    log: str | Path | None = None,
    vault: str | Path | None = None,
    settings: ServingSettings | None = None,
    pricing: PricingSettings | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve an engine until interrupted (Ctrl-C, or SIGTERM), then write what waits and return.

    Parameters
    ----------
    engine
        A fitted engine, or the folder of a saved one.
    host
        Where to listen. Anything but this machine itself deserves API keys and a proxy that encrypts.
    port
        0 takes any free one.
    log
        The event log's file; ``events.sqlite`` in ``palate.privacy.data_home()`` where left out.
    vault
        The key vault's file; see ``palate.privacy.default_vault_path``.
    pricing
        How the shop prices; prices are off where None or not enabled.
    ready
        Called with the URL once the server listens.

    Raises
    ------
    UsageError
        The port is taken or the host is not an address of this machine.
    ArtefactError
        The engine, the log or the vault cannot be used; the message says why.
    """
    chosen = free_port(host, port)  # before the engine is loaded: a port that is taken is told at once
    with prepared(engine, host, log=log, vault=vault, settings=settings, pricing=pricing) as app:
        asyncio.run(_until_interrupted(app, host, chosen, ready))


@contextlib.contextmanager
def running(
    engine: ServedEngine | str | Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    log: str | Path | None = None,
    vault: str | Path | None = None,
    settings: ServingSettings | None = None,
    pricing: PricingSettings | None = None,
) -> Iterator[str]:
    """The same server in a thread, for as long as a ``with`` block; gives its URL. For notebooks and tests."""
    with prepared(engine, host, log=log, vault=vault, settings=settings, pricing=pricing) as app:
        chosen = free_port(host, port)
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(_server(app, host, chosen))
        thread = threading.Thread(target=_run, args=(loop, server), name="palate-server", daemon=True)
        thread.start()
        try:
            _wait_for(host, chosen, thread)
            yield url(host, chosen)
        finally:
            loop.call_soon_threadsafe(server.stop)
            thread.join()


@contextlib.contextmanager
def prepared(
    engine: ServedEngine | str | Path,
    host: str = "127.0.0.1",
    *,
    log: str | Path | None = None,
    vault: str | Path | None = None,
    settings: ServingSettings | None = None,
    pricing: PricingSettings | None = None,
) -> Iterator[FastAPI]:
    """The application with its log and vault open, closed at the end."""
    from palate.serving.app import create_app
    from palate.serving.experimenting import conducting

    settings = settings or ServingSettings()
    if not settings.allowed_hosts and host in ("127.0.0.1", "localhost", "::1"):
        settings = settings.model_copy(update={"allowed_hosts": LOOPBACK})
    served = loaded(Path(engine)) if isinstance(engine, str | Path) else engine
    keys = Vault(vault)
    try:
        served.warm()
        # One question is too small for several threads, which would only wait for each other.
        path = Path(log) if log is not None else data_home() / "events.sqlite"
        with (
            one_blas_thread(),
            EventLog(path, keys) as events,
            quoting(served, pricing, keys, path.parent) as quoter,
            conducting(served, events, keys, path.parent / "experiments", quoter) as conductor,
        ):
            yield create_app(served, events, settings, quoter=quoter, conductor=conductor)
    finally:
        keys.close()


@contextlib.contextmanager
def quoting(
    engine: ServedEngine, pricing: PricingSettings | None, keys: Vault, folder: Path
) -> Iterator[Quoter | None]:
    """Who quotes prices, its log in this folder unless the settings name a file; None where prices are off."""
    if pricing is None or not pricing.enabled:
        yield None
        return
    from palate.engine.pricing import quoter_of

    quoter = quoter_of(engine, pricing, keys, folder)
    try:
        yield quoter
    finally:
        quoter.close()


def loaded(folder: Path) -> ServedEngine:
    """The engine saved in a folder."""
    from palate.engine import Engine

    return Engine.load(folder)


def url(host: str, port: int) -> str:
    """The URL people type; an address that means "everywhere" is shown as this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def free_port(host: str, port: int) -> int:
    """The port asked for if nobody listens there, or any free one for 0.

    Raises
    ------
    UsageError
        The port is taken or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror if isinstance(error, OSError) else error}. "
            "Choose others with --host and --port."
        ) from None


async def _server(app: FastAPI, host: str, port: int) -> Any:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    # Its own notes would stand between the user and the one line that matters.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    return Server(app, address=host, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)


async def _until_interrupted(app: FastAPI, host: str, port: int, ready: Callable[[str], None]) -> None:
    server = await _server(app, host, port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # event loops on Windows; Ctrl-C still ends the process there
            loop.add_signal_handler(number, server.stop)
    serving = asyncio.create_task(server.serve())
    while not serving.done() and not _listens(host, port):
        await asyncio.sleep(0.02)
    if not serving.done():
        ready(url(host, port))
    await serving


def _run(loop: asyncio.AbstractEventLoop, server: Any) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(server.serve())
    finally:
        loop.close()


def _wait_for(host: str, port: int, thread: threading.Thread) -> None:
    while not _listens(host, port):
        if not thread.is_alive():
            raise UsageError(f"the server on {host} port {port} ended before it began to listen")
        thread.join(0.02)


def _listens(host: str, port: int) -> bool:
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        with socket.create_connection((target, port), timeout=1):
            return True
    except OSError:
        return False
