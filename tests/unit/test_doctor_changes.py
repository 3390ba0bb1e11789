"""The timer's report: changes alone, to the journal, a webhook and by mail."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from signalbox.desired import symptoms
from signalbox.host.doctor import changes
from signalbox.host.doctor.check import Finding, Outcome

QUIET: dict[str, Any] = {"webhook": None, "mail_to": None, "mail_from": None, "mail_server": None}
DOWN = Finding("gateway-down", "litellm.service is inactive", check="gateway", role="keeper")
REBOOT = Finding("reboot-pending", "linux-image asks for it", check="reboot", role="agent")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(changes, "symptoms", symptoms.known)
    return tmp_path


def _outcome(*found: Finding, problem: str = "") -> Outcome:
    return Outcome("gateway", "keeper", "The gateway runs", found, problem, 0.1)


def test_only_changes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*found: Finding) -> str:
        assert changes.report([_outcome(*found)], found, QUIET) == 0
        return capsys.readouterr().out

    assert told() == ""
    first = told(DOWN, REBOOT)
    assert f"{changes.ERROR}gateway-down: litellm.service is inactive" in first
    assert f"{changes.WARNING}reboot-pending" in first
    assert told(DOWN, REBOOT) == ""
    assert told(REBOOT) == f"{changes.NOTICE}over: gateway-down: litellm.service is inactive\n"
    assert told(REBOOT) == ""


def test_who_calls_while_it_looks_is_heard_afterwards(tmp_path: Path) -> None:
    expected = {"lanes": {"audit": str(tmp_path / "requests.jsonl")}}
    began = time.time() - 5
    assert not changes.called(expected, began)  # nobody ever did
    (tmp_path / "look").touch()
    assert changes.called(expected, began)
    assert not changes.called(expected, time.time() + 5)
    assert not changes.called({}, began)


def test_another_figure_is_no_change(capsys: pytest.CaptureFixture[str]) -> None:
    for free in (100, 99):
        found = Finding("disk-full", f"{free} MiB are free on /", check="disk", role="agent", subjects=("/",))
        changes.report([_outcome(found)], [found], QUIET)
    home = Finding("disk-full", "99 MiB are free on /home", check="disk", role="agent", subjects=("/home",))
    changes.report([_outcome(found, home)], [found, home], QUIET)
    told = [line.partition(" |")[0] for line in capsys.readouterr().out.splitlines()]
    assert told == [f"<3>disk-full: {words}" for words in ("100 MiB are free on /", "99 MiB are free on /home")]


def test_a_check_that_could_not_look_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    changes.report([_outcome(problem="OSError: no")], [], QUIET)
    assert "could not be looked at: The gateway runs: OSError: no" in capsys.readouterr().out


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    got: list[dict[str, Any]] = []
    statuses = [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(statuses[-1])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", got, statuses
    server.shutdown()


def test_a_webhook_is_told_and_told_again_until_it_takes_it(webhook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    url, got, statuses = webhook
    statuses.append(500)
    settings = {**QUIET, "webhook": url}
    assert changes.report([_outcome(DOWN)], [DOWN], settings) == 1
    statuses.append(204)
    assert changes.report([_outcome(DOWN)], [DOWN], settings) == 0
    assert changes.report([_outcome(DOWN)], [DOWN], settings) == 0
    assert [each["new"] for each in got] == [["gateway-down: litellm.service is inactive"]] * 2
    # The journal took it the first time.
    assert capsys.readouterr().out.count("gateway-down") == 1


def test_mail_is_sent() -> None:
    lines: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                lines.append(line)
                data = (data or line.upper() == "DATA") and line != "."
                if line.upper() == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                if line.upper() == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                elif not data:
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        port = server.server_address[1]
        settings = {**QUIET, "mail_to": "me@example.org", "mail_server": f"127.0.0.1:{port}"}
        assert changes.report([_outcome(DOWN)], [DOWN], settings) == 0
        server.shutdown()
    assert "To: me@example.org" in lines
    assert any(line.startswith("new: gateway-down") for line in lines)
