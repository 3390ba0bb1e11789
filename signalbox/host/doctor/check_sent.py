"""Check of what Claude Code itself sends to a model server: one prompt of it, answered by this process."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from ..shared import within
from .check import Finding, check
from .host_context import AGENT, Here, run

LONGEST = 8 << 20  # bytes of a first request; it has some 100 KB
MOST = 8  # requests that are kept
PATIENCE = 40  # seconds until the first request is there
REFUSAL = b'{"type":"error","error":{"type":"invalid_request_error","message":"claude-doctor has seen it"}}'


@check(AGENT, needs=("versions:claude",), heavy=True)
def late_system(here: Here) -> Iterator[Finding]:
    """Claude Code sends model servers no system message in mid-conversation; looked at once a version"""
    name = next((name for name, lane in here.lanes.items() if lane["via"] == "direct"), None)
    if name is None:
        return
    claude, environment = here.expected["lanes"]["claude"], here.lanes[name]["environment"]
    known = here.home / ".cache/signalbox/sent" / _of_this_version(claude, environment)
    if known.exists():
        return
    roles = _roles(_first_request(claude, environment))
    if "system" in roles[1:]:
        yield Finding("late-system", f"claude-{name}: its first request has {', '.join(roles)}", subjects=(name,))
    elif roles:
        with suppress(OSError):
            known.parent.mkdir(parents=True, exist_ok=True)
            known.touch()


def _of_this_version(claude: str, environment: Mapping[str, str]) -> str:
    """Return a name for this program with this environment."""
    program = os.path.realpath(claude)
    told = f"{program} {os.stat(program).st_mtime_ns} {environment}" if os.path.exists(program) else claude
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _roles(body: Any) -> list[str]:
    """Return the roles of a request's messages; none where it has no messages."""
    messages = body.get("messages") if isinstance(body, dict) else None
    entries = messages if isinstance(messages, list) else []
    return [str(each.get("role")) for each in entries if isinstance(each, dict)]


def _first_request(claude: str, environment: dict[str, str]) -> Any:
    """Return the body of the first request of a prompt with a lane's environment; None where there is none."""
    with _listening() as (url, seen), tempfile.TemporaryDirectory(prefix="claude-doctor-") as place:
        own = {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "CLAUDE_CONFIG_DIR": place,
            "HOME": place,
        }
        said = [f"{name}={value}" for name, value in (environment | own).items()]
        run("env", "-C", place, *said, claude, "-p", "Say OK.", timeout=PATIENCE)
        return next((body for body in seen if _roles(body)), None)


@contextmanager
def _listening() -> Iterator[tuple[str, list[Any]]]:
    """Listen on a port of the loopback: give its URL, and the JSON of what is posted there."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if length.isdigit() and int(length) <= LONGEST and len(seen) < MOST:
                with suppress(ValueError):
                    seen.append(within.json_of(self.rfile.read(int(length))))
            self.send_response(400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(REFUSAL)))
            self.end_headers()
            self.wfile.write(REFUSAL)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
