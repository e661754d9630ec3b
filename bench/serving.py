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
from pathlib import Path
from typing import Any

SCRIPT = """
local users = {%s}
local method, path = "%s", "%s"
local requests = {}

-- Built beforehand, so that the client takes no more of the processor than it must.
init = function()
  math.randomseed(%d)
  if method == "GET" then
    requests[1] = wrk.format(method, path)
    return
  end
  local headers = {["Content-Type"] = "application/json"}
  for place = 1, #users do
    local user = users[math.random(#users)]
    requests[place] = wrk.format(method, path, headers, '{"user_id": "' .. user .. '", "count": 10}')
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

SERVER = """
import sys
from palate.serving import ServingSettings, serve
engine, log, vault, remembered = sys.argv[1:]
settings = ServingSettings(remembered_answers=int(remembered))
serve(engine, port=0, log=log, vault=vault, settings=settings, ready=lambda url: print(url, flush=True))
"""


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
    users = ",".join(json.dumps(name) for name in names[:: max(1, len(names) // 20_000)])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        scripts = {}
        for name, method, path in (("empty", "GET", "/health/live"), ("recommend", "POST", "/v1/recommend")):
            scripts[name] = folder / f"{name}.lua"
            scripts[name].write_text(SCRIPT % (users, method, path, seed))
        files = [str(folder / name) for name in ("events.sqlite", "vault.sqlite")]
        command = [sys.executable, "-c", SERVER, str(engine), *files, str(remembered)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            try:
                if not url:
                    raise SystemExit("the server did not start")
                measure(url, scripts["recommend"], 2, connections)  # warm caches, on both sides
                results: dict[str, Any] = {}
                for name in ("empty", "recommend"):
                    before = processor_seconds(server.pid)
                    results[name] = measure(url, scripts[name], seconds, connections)
                    used = processor_seconds(server.pid) - before
                    results[name]["cpu_ms"] = round(used * 1e3 / results[name]["requests"], 3)
            finally:
                server.terminate()
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
