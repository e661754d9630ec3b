"""Requests a second of ``POST /v1/recommend`` beside those of an empty endpoint of the same server, in the same run.

    python bench/serving.py ENGINE_FOLDER [--seconds 10] [--connections 16] [--remembered 0]

needs ``wrk`` (https://github.com/wg/wrk). Starts the real server in a process of its own on a free port, asks for
random users of the engine's own data, and prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SCRIPT = """
local bodies = {%s}
local method, path = "%s", "%s"
local requests = {}

-- Built beforehand, so that the client takes no more of the processor than it must.
init = function()
  if method == "GET" then
    requests[1] = wrk.format(method, path)
    return
  end
  local headers = {["Content-Type"] = "application/json"}
  for place = 1, #bodies do
    requests[place] = wrk.format(method, path, headers, bodies[place])
  end
end

local asked = 0
request = function()
  asked = asked + 1
  return requests[asked %% #requests + 1]
end

done = function(summary, latency)
  io.write(string.format("RESULT requests=%%d microseconds=%%d status=%%d socket=%%d p50=%%d p95=%%d p99=%%d\\n",
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""

EMPTY = ("GET", "/health/live")
"""The endpoint that others are held against: as little as the server can do."""

SERVER = """
import sys
from palate.serving import ServingSettings, serve
engine, log, vault, remembered = sys.argv[1:]
settings = ServingSettings(remembered_answers=int(remembered))
serve(engine, port=0, log=log, vault=vault, settings=settings, ready=lambda url: print(url, flush=True))
"""


def written(folder: Path, endpoints: Mapping[str, tuple[str, str]], bodies: Sequence[str]) -> dict[str, Path]:
    """A script of wrk for each endpoint (method, path), which posts these bodies in turns."""
    scripts = {}
    quoted = ",".join(f"[==[{body}]==]" for body in bodies)
    for name, (method, path) in endpoints.items():
        scripts[name] = folder / f"{name}.lua"
        scripts[name].write_text(SCRIPT % (quoted, method, path), encoding="utf-8")
    return scripts


@contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address, which it prints first, and the process's number."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            if not url:
                raise SystemExit("the server did not start")
            yield url, server.pid
        finally:
            server.terminate()


def timed(url: str, process: int, script: Path, seconds: int, connections: int) -> dict[str, float]:
    """``measure``, and what a request took of the server's processor."""
    before = processor_seconds(process)
    told = measure(url, script, seconds, connections)
    return {**told, "cpu_ms": round((processor_seconds(process) - before) * 1e3 / told["requests"], 3)}


def measure(url: str, script: Path, seconds: int, connections: int) -> dict[str, float]:
    """One run of wrk: requests a second, errors, latency in milliseconds."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed; get it from https://github.com/wg/wrk or your package manager")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (.*)", told)
    if found is None:
        raise SystemExit(f"wrk said something else than expected:\n{told}")
    values = {name: int(value) for name, value in (pair.split("=") for pair in found[1].split())}
    return {
        "requests_per_second": round(values["requests"] / values["microseconds"] * 1e6, 1),
        "requests": values["requests"],
        "errors": values["status"] + values["socket"],
        **{f"{name}_ms": round(values[name] / 1e3, 2) for name in ("p50", "p95", "p99")},
    }


def processor_seconds(process: int) -> float:
    """What a process has used of the processor so far, in seconds; 0 where the system does not tell (not Linux)."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.is_file():
        return 0.0
    fields = stat.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench(engine: Path, seconds: int, connections: int, seed: int, remembered: int) -> dict[str, Any]:
    """Both rates, their ratio and the errors."""
    from palate.engine import Engine

    names = Engine.load(engine).dataset.user_ids.names
    drawn = np.random.default_rng(seed).integers(len(names), size=20_000)
    bodies = [json.dumps({"user_id": names[user], "count": 10}) for user in drawn]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        scripts = written(folder, {"empty": EMPTY, "recommend": ("POST", "/v1/recommend")}, bodies)
        files = [str(folder / name) for name in ("events.sqlite", "vault.sqlite")]
        with started([sys.executable, "-c", SERVER, str(engine), *files, str(remembered)]) as (url, process):
            measure(url, scripts["recommend"], 2, connections)  # warm caches, on both sides
            results: dict[str, Any] = {
                name: timed(url, process, scripts[name], seconds, connections) for name in ("empty", "recommend")
            }
    ratio = results["recommend"]["requests_per_second"] / results["empty"]["requests_per_second"]
    return {
        "connections": connections,
        "seconds": seconds,
        "remembered": remembered,
        **results,
        "ratio": round(ratio, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--remembered", type=int, default=20_000, help="answers the server remembers; 0: none")
    print(json.dumps(bench(**vars(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
