"""The gateway looks from where it asks: its container's network, names and certificates, and a search of its own."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failures import ask, audit, audited, urls
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.certificates import Authority, server_context
from tests.lab.machine import wait_until
from tests.lab.simulators.personalities.searxng import FOUND, URL

drill = Drill(
    "reached",
    "what the gateway's container reaches",
    "A server is judged by what the gateway's container reaches, not by what the host does; certificates that curl and "
    "Node take are taken; a name that only the host knows is known; WebSearch is answered by a search, or by nobody.",
)


def _findings() -> dict[str, str]:
    """Return what the doctor sees, by symptom."""
    told = json.loads(looks.answer("claude-doctor --json || true"))
    return {each["symptom"]: each["seen"] for each in told["findings"]}


def _servers() -> dict[str, Any]:
    """Return what the gateway tells of its servers."""
    return dict(json.loads(looks.answer("curl -fsS http://127.0.0.1:4000/signalbox/servers")))


@drill.cell("told", fixed=True)
def told(stage: Stage) -> Figures:
    """A server that the host reaches and the gateway's container does not is told, with the difference."""
    stage.converged()
    address, _, port = urls(stage)["lmstudio"].removeprefix("http://").partition(":")
    user = looks.answer(f"id -u {looks.GATEWAY_USER}")
    rules = (
        "add table ip drill; add chain ip drill out { type filter hook output priority 0; };"
        f"add rule ip drill out meta skuid {user} ip daddr {address} tcp dport {port} reject with tcp reset"
    )

    def see() -> str:
        found = _findings()
        assert "backend-from-container" in found, found
        return found["backend-from-container"]

    hosts.run(HOST, f"nft '{rules}'")
    try:
        assert wait_until(lambda: _servers() == {"lmstudio": "refused"}, 20, 0.5), _servers()
        seen = see()
    finally:
        hosts.run(HOST, "nft delete table ip drill")
    assert "this host reaches lmstudio" in seen, seen
    assert wait_until(lambda: _servers() == {"lmstudio": 200}, 20, 0.5), _servers()
    return {"told": seen, "control": must_fail(see, "the way open")}


class _Relay:
    """TLS in front of a simulated server, with a certificate that can be changed."""

    def __init__(self, bind: str, port: int) -> None:
        self._bind, self._target = bind, port
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []
        self.port = 0

    def serve(self, certificate: Path | None) -> None:
        """Serve with this certificate from now on, at the same port; None: no more."""
        asyncio.run_coroutine_threadsafe(self._serve(certificate), self._loop).result(20)

    async def _serve(self, certificate: Path | None) -> None:
        if self._server:
            self._server.close()
        for writer in self._open:  # a client keeps connections, and looks at no certificate again
            writer.transport.abort()
        self._server = None
        if certificate:
            context = server_context(certificate)
            self._server = await asyncio.start_server(self._pass, self._bind, self.port, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        there, back = await asyncio.open_connection(self._bind, self._target)
        await asyncio.gather(_copied(reader, back), _copied(there, writer), return_exceptions=True)


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()


@contextmanager
def _secured(stage: Stage, server: str) -> Iterator[_Relay]:
    at = stage.simulators.servers()[server]
    relay = _Relay(str(at["bind"]), int(at["port"]))
    try:
        yield relay
    finally:
        relay.serve(None)


def _alone(more: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in whose lane `local` nobody follows."""
    return merge({"lanes": {"local": {"fallbacks": "none"}}}, dict(more))


@drill.cell("certificates")
def certificates(stage: Stage) -> Figures:
    """What Python alone refuses of a certificate is taken; what nobody takes is told at once, with its cause."""
    stage.converged()
    figures: Figures = {}
    with (
        tempfile.TemporaryDirectory() as place,
        _secured(stage, "lmstudio") as local,
        _secured(stage, "anthropic") as cloud,
    ):
        bind = str(stage.simulators.servers()["lmstudio"]["bind"])
        authority = Authority(Path(place), plain=True)
        good = authority.certificate(bind)
        local.serve(good)
        cloud.serve(good)
        settings = _alone({
            "backends": {"lmstudio": {"url": f"https://{bind}:{local.port}"}},
            "clouds": {"anthropic": {"url": f"https://{bind}:{cloud.port}"}},
            "extra_ca_certificates": [str(authority.file)],
        })  # fmt: skip
        stage.site(settings=settings).deploy().ok()
        (answer,) = ask(words="LM Studio", seconds=30)
        assert "LM Studio" in answer["text"], answer
        (billed,) = ask("claude-haiku-4-5")
        assert "Anthropic" in billed["text"], billed
        found = _findings()
        assert not {"tls", "backend-off", "backend-from-container"} & set(found), found
        figures = {"no key identifiers, basicConstraints not critical": "LM Studio and Anthropic answer"}
        for cause, certificate, symptom in (
            ("expired", authority.certificate(bind, days_ago=2), "certificate-expired"),
            ("another name", authority.certificate("elsewhere.example"), "certificate-name"),
        ):
            local.serve(certificate)
            cloud.serve(certificate)
            assert wait_until(lambda: "certificate" in str(_servers()), 30, 0.5), _servers()
            found = _findings()
            assert symptom in found, f"{cause}: {found}"
            (refused,) = ask(lane="local")
            assert refused["status"] == 400, refused
            assert "its certificate" in str(refused["error"]), refused
            started = time.monotonic()
            done = hosts.run(HOST, "timeout 170 claude-cloud -p 'say hello'", user="claude", check=False, timeout=200)
            seconds = time.monotonic() - started
            said = (done.stdout + done.stderr).strip()
            assert "its certificate" in said, said
            assert seconds < 60, f"{seconds:.0f} s: {said}"
            figures = {**figures, cause: f"claude-cloud ends after {seconds:.0f} s: {said[:140]}"}
        told = looks.answer(f"claude-doctor --explain {looks.quoted(said)}")
        assert "subjectAltName" in told, told
    stage.site().deploy().ok()
    return figures


@drill.cell("mdns")
def mdns(stage: Stage) -> Figures:
    """A name that the host knows by mDNS alone is known to the gateway's container, which asks DNS."""
    stage.converged()
    address, _, port = urls(stage)["lmstudio"].removeprefix("http://").partition(":")
    hosts.run(HOST, "apt-get -qq -y install avahi-daemon avahi-utils libnss-mdns >/dev/null", timeout=240)
    hosts.run(HOST, f"systemd-run -q --unit drill-mdns avahi-publish -a -R studio.local {address}")
    try:
        assert wait_until(lambda: address in looks.answer("getent ahostsv4 studio.local || true"), 20, 0.5)
        assert looks.answer("getent -s dns ahostsv4 studio.local || true") == "", "DNS knows it too"
        stage.site(settings={"backends": {"lmstudio": {"url": f"http://studio.local:{port}"}}}).deploy().ok()
        before = len(audit())
        (answer,) = ask(words="LM Studio", seconds=30)
        audited(before, 1)
        assert "LM Studio" in answer["text"], answer
        hosts.run(HOST, "systemctl stop drill-mdns")

        def still_known() -> None:
            hosts.run(HOST, "systemctl --user --machine=litellm@.host restart litellm.service", timeout=120)
            (answer,) = ask()
            assert "LM Studio" in answer["text"], answer

        control = must_fail(still_known, "nobody who tells the name")
    finally:
        hosts.run(HOST, "systemctl stop drill-mdns || true")
        hosts.run(HOST, "apt-get -qq -y purge avahi-daemon avahi-utils libnss-mdns >/dev/null", timeout=240)
    stage.site().deploy().ok()
    return {"http://studio.local": "LM Studio answers through the gateway", "control": control}


@drill.cell("web-search")
def web_search(stage: Stage) -> Figures:
    """WebSearch in a local lane is answered by the SearXNG that the settings name, or it says why not."""
    stage.converged()
    settings = _alone({"gateway": {"web_search": {"kind": "searxng", "url": urls(stage)["searxng"]}}})
    stage.site(settings=settings).deploy().ok()

    def search() -> tuple[str, list[str]]:
        """Return what Claude Code's tool gives to the model, and what was searched for."""
        before = len(stage.simulators.requests())
        call = 'call the tool "WebSearch" with {"query": "when was the lighthouse of Nowhere built"}'
        done = hosts.run(
            HOST, f"claude-local -p {looks.quoted(call)} --allowedTools WebSearch", user="claude", timeout=170
        )
        new = stage.simulators.requests()[before:]
        assert not [each for each in new if each["server"] == "anthropic"], "a cloud was asked"
        return done.stdout, [each["query"].get("q", "") for each in new if each["server"] == "searxng"]

    lines = len(audit())
    said, asked = search()
    assert asked == ["when was the lighthouse of Nowhere built"], asked
    assert FOUND in said, said
    assert URL in said, said
    billed = [line for line in audit(lines) if line["cost_usd"]]
    assert not billed, billed
    figures = {"found": FOUND, "searched for": asked[0], "billed": "nothing"}
    stage.simulators.options("searxng", formats=["html"])
    said, _ = search()
    assert FOUND not in said, said
    assert re.search(r"403|[Ff]ailed|rror", said), said
    figures["with JSON off at the SearXNG"] = " ".join(said.split())[:160]
    stage.simulators.options("searxng", formats=["html", "json"], nothing=True)
    said, _ = search()
    assert FOUND not in said, said
    figures["with nothing found"] = " ".join(said.split())[:160]
    stage.simulators.clear()
    stage.site().deploy().ok()
    return figures
