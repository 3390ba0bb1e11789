"""Runs on a lab host: asks each gateway the same, in turn, and tells what each took. Python's standard library alone.

    python3 - PAIRS TOKENS NAME=PORT/PROCESSES … < asking.py

PROCESSES: numbers, joined by commas, whose processor time is counted. The key is in KEY. Prints JSON: by name, of each
request the seconds to the answer's first byte and to its end, and the seconds of processor time of all together.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

SHORT = 1000  # tokens; a shorter prompt is one question, a longer one a conversation with tools
TURN = 1300  # words that a tool has answered in each turn
WARM = 5  # requests before those that count
WORDS = ("alpha", "beta", "gamma", "delta", "code", "file")
HEADERS = {
    "authorization": f"Bearer {os.environ['KEY']}",
    "content-type": "application/json",
    "anthropic-version": "2023-06-01",
    "x-claude-code-session-id": "11111111-1111-4111-8111-111111111111",
    "x-signalbox-lane": "local",
}


def said(count: int, seed: int) -> str:
    """Return so many words, the same for the same seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))  # noqa: S311


def tool(number: int) -> dict[str, Any]:
    """Return a tool of about the size of Claude Code's."""
    fields = {f"field{each}": {"type": "string", "description": said(16, each)} for each in range(6)}
    schema = {"type": "object", "properties": fields, "required": ["field0"]}
    return {"name": f"Tool{number}", "description": said(450, number), "input_schema": schema}


def prompt(tokens: int) -> dict[str, Any]:
    """Return a request with about so many tokens, four bytes each."""
    asked: dict[str, Any] = {"model": "local", "max_tokens": 100, "stream": True}
    if tokens < SHORT:
        return asked | {"messages": [{"role": "user", "content": "say hello"}]}
    asked |= {"system": [{"type": "text", "text": said(500, 0)}], "tools": [tool(each) for each in range(20)]}
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": said(60, 1)}]}]
    size = len(json.dumps(asked))
    while size < tokens * 4:
        ident = f"toolu_{len(messages)}"
        call = {"type": "tool_use", "id": ident, "name": "Tool0", "input": {"field0": "x"}}
        result = {"type": "tool_result", "tool_use_id": ident, "content": said(TURN, len(messages))}
        turn = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        messages += turn
        size += len(json.dumps(turn))
    return asked | {"messages": messages}


class Racer:
    """A gateway that is asked over a connection that is kept where it keeps it, as Claude Code does."""

    def __init__(self, port: int, processes: Sequence[str]) -> None:
        self._port, self._processes = port, processes
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, body: bytes) -> tuple[float, float]:
        """Return the seconds to the first byte of the answer, and to its end. RuntimeError: it is none."""
        began = time.perf_counter()
        connection = self._connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.request("POST", "/v1/messages", body, HEADERS)
        answer = connection.getresponse()
        start = answer.read1(1)
        first = time.perf_counter() - began
        rest = start + answer.read()
        ended = time.perf_counter() - began
        if answer.status != 200 or b"message_stop" not in rest:
            raise RuntimeError(f"{self._port} answered {answer.status}: {rest[-500:]!r}")
        self._connection = None if answer.will_close else connection
        return first, ended

    def spent(self) -> float:
        """Return the processor time of its processes so far, in seconds."""
        ticks = 0
        for process in self._processes:
            with open(f"/proc/{process}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def main(pairs: str, tokens: str, *racers: str) -> None:
    """Race, and print what was measured."""
    several: dict[str, Racer] = {}
    for each in racers:
        name, _, rest = each.partition("=")
        port, _, processes = rest.partition("/")
        several[name] = Racer(int(port), processes.split(","))
    body = json.dumps(prompt(int(tokens))).encode()
    for racer in several.values():
        for _ in range(WARM):
            racer.ask(body)
    time.sleep(1)  # what LiteLLM does once an answer is over
    before = {name: racer.spent() for name, racer in several.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in several}
    for _ in range(int(pairs)):
        for name in random.sample(sorted(several), len(several)):
            taken[name].append(several[name].ask(body))
    time.sleep(1)
    spent = {name: racer.spent() - before[name] for name, racer in several.items()}
    told = {name: {"seconds": taken[name], "processor": spent[name]} for name in several}
    print(json.dumps({"bytes": len(body), "racers": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
