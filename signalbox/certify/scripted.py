"""A model that does as its prompt says, on this machine's loopback, for a Claude Code that is tried."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALL = re.compile(r"CALL (\w+) (\{.*\})")  # in a prompt: this tool, with this input
ANSWER, DONE = "OK", "the tool has answered"
MAX_BODY = 16 << 20  # bytes


class Scripted:
    """The server; `bodies` are the requests to /v1/messages that it has had, oldest first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = []

    def sessions(self) -> list[dict[str, Any]]:
        """Return the requests of sessions: those with an agent's tools."""
        return [body for body in self.bodies if len(body.get("tools") or ()) > 3]


@contextmanager
def scripted() -> Iterator[Scripted]:
    """Serve on a port that is free, for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    script = Scripted(f"http://127.0.0.1:{server.server_port}")
    server.script = script  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send(json.dumps({"data": []}).encode())

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        try:
            body = json.loads(self.rfile.read(min(length, MAX_BODY)) or b"{}")
        except ValueError:
            body = {}
        if "count_tokens" in self.path:
            self._send(json.dumps({"input_tokens": len(json.dumps(body)) // 4}).encode())
            return
        self.server.script.bodies.append(body)  # type: ignore[attr-defined]
        block = _block(body)
        if body.get("stream"):
            self._send(b"".join(_events(body, block)), "text/event-stream")
        else:
            self._send(json.dumps({**_message(body), "content": [block], "stop_reason": _stop(block)}).encode())

    def _send(self, content: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _block(body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a request: a tool's call where the newest words ask for one that is on offer."""
    messages = [each for each in body.get("messages") or () if each.get("role") == "user"]
    newest = messages[-1].get("content") if messages else ""
    blocks = newest if isinstance(newest, list) else [{"type": "text", "text": str(newest)}]
    if any(each.get("type") == "tool_result" for each in blocks):
        return {"type": "text", "text": DONE}
    found = CALL.search("\n".join(str(each.get("text", "")) for each in blocks))
    offered = {str(each.get("name")) for each in body.get("tools") or ()}
    if found and found[1] in offered:
        return {"type": "tool_use", "id": f"toolu_{len(messages)}", "name": found[1], "input": json.loads(found[2])}
    return {"type": "text", "text": ANSWER}


def _stop(block: dict[str, Any]) -> str:
    return "tool_use" if block["type"] == "tool_use" else "end_turn"


def _message(body: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": len(json.dumps(body)) // 4, "output_tokens": 8}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model"), "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": usage}  # fmt: skip


def _events(body: dict[str, Any], block: dict[str, Any]) -> Iterator[bytes]:
    called = block["type"] == "tool_use"
    empty = {**block, "input": {}} if called else {**block, "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if called
        else {"type": "text_delta", "text": block["text"]}
    )
    for event in (
        {"type": "message_start", "message": _message(body)},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": _stop(block), "stop_sequence": None},
         "usage": {"output_tokens": 8}},
        {"type": "message_stop"},
    ):  # fmt: skip
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
