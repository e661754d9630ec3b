"""A server on this machine that speaks the dialects of vLLM, Ollama and llama.cpp, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from palate.language.generation import Completion, Prompt


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Say:
    """One reply: a status, headers and a body; or something worse."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Announce more than is sent."""
    hang: bool = False
    """Say nothing until the server is closed."""
    drip: bool = False
    """Send a byte now and then, without end."""


Script = Callable[[Seen], Say]


class Server:
    """What was asked, and where."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.seen: list[Seen] = []

    @property
    def asked(self) -> list[Seen]:
        return [one for one in self.seen if one.path.endswith("/chat/completions")]


@contextmanager
def serving(script: Script | list[Say]) -> Iterator[Server]:
    """A server that follows a script: what to say to each request, or one reply after the other, the last for good."""
    closing = threading.Event()
    turn, lock = [0], threading.Lock()

    def reply(seen: Seen) -> Say:
        if callable(script):
            return script(seen)
        with lock:
            place = min(turn[0], len(script) - 1)
            turn[0] += 1
        return script[place]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            server.seen.append(seen)
            if self.path.endswith("/models") and callable(script) is False:
                said = Say(json.dumps({"object": "list", "data": [{"id": "tiny", "object": "model"}]}).encode())
            else:
                said = reply(seen)
            self.close_connection = True
            try:
                self._send(said)
            except (BrokenPipeError, ConnectionResetError):
                return

        def _send(self, said: Say) -> None:
            if said.hang:
                closing.wait()
                return
            self.send_response(said.status)
            self.send_header("content-type", "application/json")
            self.send_header("connection", "close")
            for name, value in said.headers.items():
                self.send_header(name, value)
            length = len(said.body) + (100 if said.cut else 0) + (1_000_000 if said.drip else 0)
            self.send_header("content-length", str(length))
            self.end_headers()
            self.wfile.write(said.body)
            while said.drip and not closing.wait(0.02):
                self.wfile.write(b" ")
                self.wfile.flush()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            return

    http = Quiet(("127.0.0.1", 0), Handler)
    server = Server(http.server_address[1])
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield server
    finally:
        closing.set()
        http.shutdown()
        thread.join()
        http.server_close()


def vllm(text: str, **usage: Any) -> Say:
    """As vLLM says it: thoughts apart, logprobs and stop reasons that nobody asked for."""
    message = {"role": "assistant", "reasoning_content": "let me think", "content": text, "tool_calls": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "tiny",
        "choices": [choice],
        "usage": {"prompt_tokens": 200, "total_tokens": 220, "completion_tokens": 20, **usage},
        "prompt_logprobs": None,
    }
    return Say(json.dumps(body).encode())


def ollama(text: str) -> Say:
    """As Ollama says it: JSON in a fence, as models do that were not held to a grammar."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 150, "completion_tokens": 18, "total_tokens": 168}
    body = {"id": "chatcmpl-9", "object": "chat.completion", "system_fingerprint": "fp_ollama", "choices": [choice]}
    return Say(json.dumps({**body, "model": "tiny", "usage": usage}).encode())


def llama_cpp(text: str) -> Say:
    """As llama.cpp says it: a thought in the text, timings beside the usage."""
    message = {"role": "assistant", "content": f"<think>a brace {{ in a thought</think>{text}"}
    choice = {"finish_reason": "stop", "index": 0, "message": message}
    usage = {"completion_tokens": 22, "prompt_tokens": 180, "total_tokens": 202}
    body = {"choices": [choice], "model": "tiny", "usage": usage, "timings": {"predicted_per_second": 31.0}}
    return Say(json.dumps(body).encode())


class Writes:
    """A generator that replies what a function says; no server."""

    def __init__(self, reply: Callable[[Prompt], str]) -> None:
        self.reply, self.prompts = reply, list[Prompt]()

    @property
    def name(self) -> str:
        return "writes"

    def generate(self, prompts: Any) -> list[Completion]:
        self.prompts += prompts
        return [Completion(self.reply(prompt), "endpoint", "", 100, 20, 0.5) for prompt in prompts]
