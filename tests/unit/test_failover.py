"""Which deployments the gateway asks: against real sockets, without LiteLLM."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway_plugins import BadRequestError, ServiceUnavailableError
from tests.unit.gateway_plugins import plugins as plugins


def deployment(name: str = "local", record: str = "lmstudio", **info: Any) -> dict[str, Any]:
    return {"model_info": {"id": f"{record}/{name}", **info}}


class Request:
    """What the audit keeps of a request, as far as failover uses it."""

    def __init__(self, lane: str = "local") -> None:
        self.headers = {"x-signalbox-lane": lane}
        self.lane = lane
        self.tried: list[Any] = []
        self.may: list[str] | None = None
        self.stopped: Any = None


def ask(plugins: Any, model: str, *deployments: dict[str, Any], hop: bool = False) -> Any:
    depth = {"fallback_depth": 1} if hop else {}
    return plugins.failover.plugin.async_filter_deployments(model, list(deployments), None, depth)


def asked(plugins: Any, deployment: dict[str, Any], **kwargs: Any) -> Any:
    return plugins.failover.plugin.async_pre_call_deployment_hook({**deployment, **kwargs}, None)


def tried(plugins: Any, *deployments: tuple[dict[str, Any], str | None]) -> list[Any]:
    """Return what a request keeps of deployments that were asked, each with why it failed."""
    return [plugins.request_record.Tried(each["model_info"], why) for each, why in deployments]


def failed(plugins: Any, ident: str, why: str, **more: Any) -> Any:
    error = type("Error", (Exception,), {"signalbox_class": why, **more})()
    return plugins.failover.plugin.async_post_call_failure_deployment_hook({"model_info": {"id": ident}}, error, None)


class Refuses(BaseHTTPRequestHandler):
    """A server that is there and wants a token."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Refuses)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_any_answer_will_do_and_a_cloud_is_not_asked(plugins: Any, server: HTTPServer) -> None:
    there = [deployment(probe_url=f"http://127.0.0.1:{server.server_address[1]}/models"), deployment("x", "cloud")]
    assert asyncio.run(ask(plugins, "local", *there)) == there


def test_a_server_that_is_gone_is_left_out_until_it_is_seen_again(plugins: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gone = deployment(probe_url=f"http://127.0.0.1:{port}/models", fallbacks=["haiku"])
    plugins.router.model_list = [{"model_name": "local", **gone}]

    async def gone_and_back() -> Any:
        with pytest.raises(ServiceUnavailableError, match="the server of 'local' is left out: unreachable"):
            await ask(plugins, "local", gone)
        server = HTTPServer(("127.0.0.1", port), Refuses)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            for _ in range(200):  # the background probes see it
                await asyncio.sleep(0.05)
                if not plugins.failover.plugin.watch.gone:
                    break
            return await ask(plugins, "local", gone)
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()
            server.server_close()

    assert asyncio.run(gone_and_back()) == [gone]


def test_a_server_that_is_busy_with_a_request_of_ours_is_not_gone(
    plugins: Any, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.2)
    monkeypatch.setattr(plugins.server_watch, "LATELY", 0.0)
    busy = deployment(probe_url=f"http://127.0.0.1:{silent}/models", fallbacks=["haiku"])
    working = Request()

    async def both() -> None:
        plugins.request_record.under_way.add(working)
        working.tried = tried(plugins, (busy, None))
        assert await ask(plugins, "local", busy) == [busy]
        elsewhere = deployment(probe_url="http://elsewhere")
        for asked in ((), ((elsewhere, None),), ((busy, "timeout"),)):
            working.tried = tried(plugins, *asked)
            plugins.failover.plugin.watch.gone.clear()
            with pytest.raises(ServiceUnavailableError):
                await ask(plugins, "local", busy)

    asyncio.run(both())


def test_a_server_that_has_worked_here_lately_is_busy_and_not_gone(
    plugins: Any, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.2)
    busy = deployment(probe_url=f"http://127.0.0.1:{silent}/models", fallbacks=["haiku"])
    plugins.router.model_list = [{"model_name": "local", **busy}]
    ours = plugins.failover.plugin

    async def one_after_another() -> None:
        with pytest.raises(ServiceUnavailableError):  # nobody here has seen it work
            await ask(plugins, "local", busy)
        plugins.request_record._current.set(Request())  # for this task alone
        await ours.async_pre_call_deployment_hook({"model_info": busy["model_info"]}, None)
        ours.watch.gone.clear()
        assert await ask(plugins, "local", busy) == [busy]
        ours._failed(busy["model_info"]["id"], TimeoutError("it hangs"))
        ours._resting.clear()
        with pytest.raises(ServiceUnavailableError):
            await ask(plugins, "local", busy)

    asyncio.run(one_after_another())


def test_nobody_but_a_claude_is_asked_to_search_the_web(plugins: Any) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    local = deployment(probe_url="http://x")
    with pytest.raises(BadRequestError, match="lmstudio/local cannot search the web"):
        asyncio.run(asked(plugins, local, tools=tools))
    assert asyncio.run(asked(plugins, deployment("x", "cloud", claude=True), tools=tools)) is None
    asyncio.run(asked(plugins, local, tools=[{"name": "web_search", "input_schema": {}}]))  # a tool of one's own


def test_many_requests_wait_for_one_probe(plugins: Any, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.3)
    looked: list[str] = []
    answers = plugins.probe.answers
    monkeypatch.setattr(plugins.probe, "answers", lambda url: looked.append(url) or answers(url))
    url = f"http://127.0.0.1:{silent}/models"

    async def several() -> list[Any]:
        asked = [ask(plugins, "local", deployment(probe_url=url)) for _ in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert all(isinstance(each, ServiceUnavailableError) for each in asyncio.run(several()))
    assert looked == [url]


def test_one_that_has_just_answered_is_not_asked_again(
    plugins: Any, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    answers = plugins.probe.answers
    monkeypatch.setattr(plugins.probe, "answers", lambda url: looked.append(url) or answers(url))
    there = deployment(probe_url=f"http://127.0.0.1:{server.server_address[1]}/models")

    async def several(fresh: float) -> int:
        looked.clear()
        monkeypatch.setattr(plugins.server_watch, "FRESH", fresh)
        for _ in range(5):
            assert await ask(plugins, "local", there) == [there]
        return len(looked)

    assert asyncio.run(several(60)) == 1
    assert asyncio.run(several(0)) == 5


def test_one_that_failed_rests_if_another_follows(plugins: Any) -> None:
    alone, followed = deployment("alone"), deployment("followed", fallbacks=["haiku"])

    async def fail() -> Any:
        for each in (alone, followed):
            await failed(plugins, each["model_info"]["id"], "server_error")
        with pytest.raises(ServiceUnavailableError) as told:
            await ask(plugins, "followed", followed)
        assert told.value.signalbox_class == "server_error"  # type: ignore[attr-defined]
        assert await ask(plugins, "haiku", followed, hop=True) == [followed]  # the last resort is asked
        return await ask(plugins, "alone", alone)

    assert asyncio.run(fail()) == [alone]


def test_of_two_boxes_the_one_that_failed_rests(plugins: Any) -> None:
    first, second = deployment("local", "lmstudio"), deployment("local", "second")

    async def fail() -> Any:
        await failed(plugins, "lmstudio/local", "timeout")
        return await ask(plugins, "local", first, second)

    assert asyncio.run(fail()) == [second]


def test_one_that_broke_off_rests(plugins: Any) -> None:
    plugins.failover.plugin.broke_off("lmstudio/local", "stream_error")
    with pytest.raises(ServiceUnavailableError, match="stream_error"):
        asyncio.run(ask(plugins, "local", deployment(fallbacks=["haiku"])))


@pytest.mark.parametrize("why", ["overflow", "bad_request"])
def test_a_request_that_was_wrong_leaves_the_server_in(plugins: Any, why: str) -> None:
    local = deployment(fallbacks=["haiku"])

    async def fail() -> Any:
        await failed(plugins, "lmstudio/local", why)
        return await ask(plugins, "local", local)

    assert asyncio.run(fail()) == [local]


@pytest.mark.parametrize(("why", "goes"), [("rate_limit", True), ("quota", True), ("server_error", False)])
def test_a_quota_fallback_follows_on_a_quota_alone(plugins: Any, why: str, goes: bool) -> None:
    cloud = deployment("claude-sonnet-4-6", "anthropic", on_quota=["local"])
    plugins.request_record._current.set(request := Request())

    async def fail() -> Any:
        assert await ask(plugins, "claude-sonnet-4-6", cloud) == [cloud]
        await asked(plugins, cloud)
        await failed(plugins, "anthropic/claude-sonnet-4-6", why)
        there = await ask(plugins, "local", deployment(), hop=True)
        await asked(plugins, there[0])
        return there

    try:
        if goes:
            assert asyncio.run(fail()) == [deployment()]
        else:
            with pytest.raises(ServiceUnavailableError, match="'local' follows on a used-up quota alone"):
                asyncio.run(fail())
    finally:
        plugins.request_record._current.set(None)
    assert [each.why for each in request.tried] == ([why, None] if goes else [why])


def test_a_cloud_rests_for_as_long_as_it_asks(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(plugins.failover, "time", clock)
    cloud = deployment("sonnet", "anthropic", fallbacks=["local"])
    asyncio.run(failed(plugins, "anthropic/sonnet", "rate_limit", litellm_response_headers={"retry-after": "60"}))
    for seconds, rests in ((59.0, "rate_limit"), (61.0, None)):
        clock.monotonic = lambda later=1000.0 + seconds: later
        assert plugins.failover.plugin._rest(cloud["model_info"]) == rests


@pytest.mark.parametrize(
    ("rule", "lane", "follow"),
    [
        ("", "cloud", ["local", "foundry-sonnet"]),
        ("cloud=clouds", "cloud", ["foundry-sonnet"]),
        ("cloud=clouds", "routed", ["local", "foundry-sonnet"]),
        ("cloud=none", "cloud", []),
    ],
)
def test_a_lane_says_what_may_follow(
    plugins: Any, monkeypatch: pytest.MonkeyPatch, rule: str, lane: str, follow: list[str]
) -> None:
    monkeypatch.setattr(plugins.fallback_rules, "FALLBACKS_OF", dict(each.split("=") for each in rule.split()))
    cloud = deployment("sonnet", "anthropic", fallbacks=["foundry-sonnet"], on_quota=["local"])
    others = {"local": deployment(), "foundry-sonnet": deployment("foundry-sonnet", "foundry")}
    plugins.router.model_list = [{"model_name": name, **each} for name, each in others.items()]
    plugins.request_record._current.set(Request(lane))

    async def used_up() -> Any:
        await asked(plugins, cloud)
        await failed(plugins, "anthropic/sonnet", "quota")
        went = []
        for name, each in others.items():
            try:
                went += [name] if await ask(plugins, name, each, hop=True) else []
            except ServiceUnavailableError:
                continue
        if not follow:  # nothing may answer in its place, so it is asked although it rests
            assert await ask(plugins, "sonnet", cloud) == [cloud]
        return went

    try:
        assert asyncio.run(used_up()) == follow
    finally:
        plugins.request_record._current.set(None)


def test_a_client_gets_no_model_that_it_may_not_ask(plugins: Any) -> None:
    local = deployment(fallbacks=["haiku", "other"])
    plugins.request_record._current.set(request := Request())
    request.may = ["local", "other"]
    try:
        assert list(plugins.fallback_rules.followers(request, local["model_info"], None)) == ["other"]
    finally:
        plugins.request_record._current.set(None)


def test_after_an_answer_that_is_none_come_those_that_have_not_answered(plugins: Any) -> None:
    sonnet = deployment("sonnet", "anthropic", fallbacks=["foundry-sonnet"], on_quota=["local"])
    local = deployment(fallbacks=["haiku", "sonnet"])
    plugins.router.model_list = [{"model_name": "sonnet", **sonnet}, {"model_name": "local", **local}]
    plugins.request_record._current.set(request := Request())
    request.tried = tried(plugins, (sonnet, "quota"), (local, None))
    try:
        assert plugins.failover.plugin.following(["lmstudio/local"]) == ["foundry-sonnet", "haiku", "sonnet"]
        assert plugins.failover.plugin.following(["lmstudio/local", "foundry/foundry-sonnet"]) == ["haiku", "sonnet"]
    finally:
        plugins.request_record._current.set(None)


def test_a_model_that_is_loaded_with_too_little_is_left_out_until_it_has_enough(
    plugins: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    tokens = [8192]

    class Tells(Refuses):
        def do_GET(self) -> None:
            body = json.dumps({"n_ctx": tokens[-1]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Tells)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/props"
    reading = {"url": url, "secret": None, "model": "small", "models": None, "names": [], "context": "n_ctx",
               "cure": "llama-server -c {context}", "on_demand": False, "context_length": 32768,
               "max_output_tokens": 4096}  # fmt: skip
    followed = deployment(probe_url=url, reading=reading, fallbacks=["haiku"])
    alone = deployment("alone", probe_url=url, reading=reading)
    plugins.router.model_list = [followed, alone]

    async def until(left_out: bool) -> None:
        for _ in range(200):  # the background probes see it
            await asyncio.sleep(0.05)
            if bool(plugins.failover.plugin.watch.short) == left_out:
                return
        raise AssertionError(plugins.failover.plugin.watch.short)

    async def shrunk_and_mended() -> Any:
        await ask(plugins, "local", followed)
        await until(left_out=True)
        with pytest.raises(ServiceUnavailableError) as told:
            await ask(plugins, "local", followed)
        assert told.value.signalbox_class == "context"  # type: ignore[attr-defined]
        assert await ask(plugins, "alone", alone) == [alone]  # nothing else can answer
        tokens.append(32768)
        await until(left_out=False)
        return await ask(plugins, "local", followed)

    try:
        assert asyncio.run(shrunk_and_mended()) == [followed]
        assert plugins.failover.plugin.watch.loaded() == {"lmstudio/local": 32768, "lmstudio/alone": 32768}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    said = "is loaded with 8192 tokens, below the 32768 that Claude Code needs; there: llama-server -c 65536"
    assert capfd.readouterr().out.count(said) == 1


@pytest.mark.parametrize(
    ("headers", "written", "follows"),
    [
        ({}, "", False),
        ({"x-signalbox-billed": "yes"}, "", True),  # the launcher has asked
        ({"x-claude-code-session-id": "5e55-10"}, "another\n5e55-10\n", True),
        ({"x-claude-code-session-id": "5e55-10"}, "another\n", False),
        ({"x-claude-code-session-id": ""}, "\n", False),
    ],
)
def test_a_lane_that_asks_lets_what_bills_follow_once_it_is_allowed(
    plugins: Any, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], written: str, follows: bool
) -> None:
    monkeypatch.setattr(plugins.fallback_rules, "FALLBACKS_OF", {"local": "ask"})
    Path(plugins.audit_file.DIRECTORY, plugins.allow.FILE).write_text(written)
    local = deployment(fallbacks=["second", "claude-haiku-4-5"])
    haiku, second = deployment("claude-haiku-4-5", "anthropic"), deployment("second", "lmstudio")
    plugins.router.model_list = [{"model_name": each["model_info"]["id"].partition("/")[2], **each}
                                 for each in (local, haiku, second)]  # fmt: skip
    request = Request()
    request.headers |= headers
    request.tried = tried(plugins, (local, "unreachable"))
    plugins.request_record._current.set(request)
    try:
        # What bills nobody needs no word.
        assert asyncio.run(ask(plugins, "second", second, hop=True)) == [second]
        if follows:
            assert asyncio.run(ask(plugins, "claude-haiku-4-5", haiku, hop=True)) == [haiku]
            return
        with pytest.raises(ServiceUnavailableError):
            asyncio.run(ask(plugins, "claude-haiku-4-5", haiku, hop=True))
        assert request.stopped == ("claude-haiku-4-5", "ask")
        _, words = plugins.refusals.stopped()
        assert words.startswith("lmstudio/local did not answer (unreachable), and this lane asks before")
        assert f"! claude-switch allow {headers.get('x-claude-code-session-id') or 'SESSION'} and ask" in words
    finally:
        plugins.request_record._current.set(None)


def test_a_used_up_budget_leaves_out_what_bills_and_says_so(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    used = {"of": "all", "name": "", "usd": 10.0, "per": "day", "spent": 10.25, "since": "2026-11-18T00:00:00+00:00",
            "unpriced": False}  # fmt: skip
    monkeypatch.setattr(
        plugins.budget.ledger, "used_up", lambda each, _lane, hop: used if hop and "anthropic" in str(each) else None
    )
    haiku = deployment("claude-haiku-4-5", "anthropic")
    local = deployment(fallbacks=["claude-haiku-4-5"])
    plugins.router.model_list = [{"model_name": "claude-haiku-4-5", **haiku}, {"model_name": "local", **local}]
    request = Request()
    request.tried = tried(plugins, (local, "unreachable"))
    plugins.request_record._current.set(request)
    try:
        with pytest.raises(ServiceUnavailableError) as told:
            asyncio.run(ask(plugins, "claude-haiku-4-5", haiku, hop=True))
        assert told.value.signalbox_class == "budget"  # type: ignore[attr-defined]
        assert asyncio.run(ask(plugins, "local", local)) == [local]
        assert plugins.failover.plugin.following(["lmstudio/local"]) == []
        assert plugins.refusals.stopped()[1].startswith(
            "lmstudio/local did not answer (unreachable), and the budget of 10 USD a day for this host is used up "
            "(10.25 USD since 2026-11-18T00:00 UTC), so anthropic/claude-haiku-4-5 is not asked. It begins anew"
        )
    finally:
        plugins.request_record._current.set(None)


def test_what_each_server_says_to_the_gateway_is_told(plugins: Any, server: HTTPServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    there = deployment(probe_url=f"http://127.0.0.1:{server.server_address[1]}/models")
    gone = deployment("x", "box", probe_url=f"http://127.0.0.1:{port}/models", fallbacks=["haiku"])
    cloud = deployment("sonnet", "anthropic")
    plugins.router.model_list = [{"model_name": "m", **each} for each in (there, gone, cloud)]
    assert plugins.failover.plugin.watch.servers() == {"lmstudio": None, "box": None}

    async def look() -> None:
        await ask(plugins, "m", there)
        with pytest.raises(ServiceUnavailableError, match=r"left out: unreachable \(it refuses connections\)"):
            await ask(plugins, "m", gone)

    asyncio.run(look())
    assert plugins.failover.plugin.watch.servers() == {"lmstudio": 401, "box": "refused"}


@pytest.mark.parametrize(
    ("word", "kind"), [("certificate-expired", BadRequestError), ("timeout", ServiceUnavailableError)]
)
def test_what_no_second_try_mends_is_not_tried_again(
    plugins: Any, monkeypatch: pytest.MonkeyPatch, word: str, kind: type[Exception]
) -> None:
    """Claude Code asks ten times more at 503, and not at 400."""

    async def answers(_: str) -> str:
        return word

    monkeypatch.setattr(plugins.probe, "answers", answers)
    with pytest.raises(ServiceUnavailableError, match="left out: unreachable") as told:
        asyncio.run(ask(plugins, "local", deployment(probe_url="http://x", fallbacks=["haiku"])))
    assert type(told.value) is kind
    assert told.value.signalbox_class == "unreachable"
