"""Asks the gateway on a host and tells what came when: sent to the host's own python3, so that ssh costs nothing.

    python3 - '{"model": "local", "text": "say hello", "times": 2}' < asking.py

Prints a JSON list, one member a request: status, text, error, first and total (seconds). Standard library only.
"""

import contextlib
import fcntl
import functools
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

KEYS = Path("~/.config/signalbox").expanduser()


@functools.cache
def key():
    """Return the gateway's key, as a lane reads it."""
    if (KEYS / "gateway.key").exists():
        return (KEYS / "gateway.key").read_text().strip()
    decrypt = ["systemd-creds", "--user", "decrypt", "--name=gateway", KEYS / "gateway.cred", "-"]
    return subprocess.run(decrypt, capture_output=True, text=True, check=True).stdout.strip()


def ask(model, text, port=4000, stream=True, session="drill", max_tokens=400, tools=False, lane="drill", patience=60.0,
        more=None, also=None, own_key=None, copies=1):  # fmt: skip
    """Ask once, streaming, and return what came. status None: the connection ended without an answer.

    more: members of the request, over these. also: headers. own_key: in place of the gateway's. copies: of the text.
    """
    body = {
        "model": model,
        "max_tokens": max_tokens,
        "stream": stream,
        "messages": [{"role": "user", "content": text * copies}],
    }
    if tools:
        body["tools"] = [{"name": "Bash", "description": "run", "input_schema": {"type": "object", "properties": {}}}]
    body |= more or {}
    headers = {
        **(also or {}),
        "authorization": f"Bearer {own_key or key()}",
        "content-type": "application/json",
        "x-signalbox-lane": lane,
        "x-claude-code-session-id": session,
    }
    started = time.monotonic()
    told = {"status": None, "text": "", "error": None, "first": None, "total": None, "ended": False}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        answer = connection.getresponse()
        told["status"] = answer.status
        if stream and answer.status == 200:
            for line in answer:
                read(line, told, started)
        else:
            whole = json.loads(answer.read())
            told["first"] = time.monotonic() - started
            told["ended"] = True
            told["error"] = (whole.get("error") or {}).get("message")
            told["text"] = "".join(block.get("text", "") for block in whole.get("content") or ())
            told["body"] = whole
    except (OSError, http.client.HTTPException, ValueError) as error:
        told["error"] = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    told["total"] = time.monotonic() - started
    return told


def read(line, told, started):
    """Take one line of the stream."""
    if told["first"] is None:
        told["first"] = time.monotonic() - started
    if line.startswith(b"data:"):
        event = json.loads(line[5:])
        told["text"] += (event.get("delta") or {}).get("text") or ""
        told["ended"] = told["ended"] or event.get("type") in ("message_stop", "error")
        if event.get("type") == "error":
            told["error"] = event["error"].get("message", "")


@contextlib.contextmanager
def turn():
    """Have those that take turns wait for as long as the block lasts."""
    with open(f"/run/user/{os.getuid()}/drill.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def several(times=1, at_once=1, undisturbed=False, **asked):
    """Ask so many times, so many of them at once; return what came, in the order of asking.

    undisturbed: nobody who waits for a server's recovery asks meanwhile.
    """
    key()  # once: hundreds of threads would all ask systemd-creds for it
    told = [None] * times
    numbers = iter(range(times))
    one = threading.Lock()

    def go():
        while True:
            with one:
                number = next(numbers, None)
            if number is None:
                return
            told[number] = ask(**asked)

    threads = [threading.Thread(target=go) for _ in range(at_once)]
    with turn() if undisturbed else contextlib.nullcontext():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return told


def until(words, seconds, pause=0.5, **asked):
    """Ask again and again until an answer holds these words, or for so long; return the last answer."""
    started = time.monotonic()
    while True:
        with turn():
            told = ask(**asked)
        if words in told["text"] or time.monotonic() - started >= seconds:
            return [told]
        time.sleep(pause)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps((until if "words" in given else several)(**given)))
