"""What was asked and what was answered: in memory for tests, and as JSON lines in the state directory."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from pathlib import Path
from typing import Any

from tests.lab.simulators.protocol import Call

CREDENTIAL_HEADERS = ("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie")
KEPT = 2_000  # requests in memory; the file keeps all


def fingerprint(secret: str) -> str:
    """How a credential is shown: enough to compare two, useless to use one."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()[:12]


class Journal:
    """Requests in the order in which they came; each record is updated until its answer is over."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._number = 0
        self.records: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def begin(self, server: str, call: Call, time: float) -> dict[str, Any]:
        self._number += 1
        headers = {
            name: fingerprint(call.credential or value) if name in CREDENTIAL_HEADERS else value
            for name, value in call.headers.items()
        }
        try:
            body = call.json if call.body else None
        except ValueError:
            body = call.body.decode(errors="replace")
        record = {
            "number": self._number,
            "time": time,
            "server": server,
            "client": call.client,  # its address
            "method": call.method,
            "path": call.path,
            "query": dict(call.query),
            "headers": headers,
            "body": body,
            "model": call.model,
            "credential": fingerprint(call.credential) if call.credential else None,
            "fault": None,
            "status": None,  # None in the end: no answer was sent
            "chunks": None,  # events sent, when it was a stream
            "usage": None,  # tokens as the model counted them: input (written ones too), output, cached, written
            "complete": False,  # the answer went out whole
        }
        self.records.append(record)
        return record

    def end(self, record: dict[str, Any]) -> None:
        if self._path:
            with self._path.open("a") as lines:
                lines.write(json.dumps(record) + "\n")

    def clear(self) -> None:
        self.records.clear()
