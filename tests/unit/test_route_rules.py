"""Who answers by gateway.rules: what the gateway does with recorded requests, and what --explain tells of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from signalbox.commands.route import route
from signalbox.desired.billing import billed
from signalbox.desired.explained import explained
from signalbox.desired.gateway_config import container_environment
from signalbox.desired.routing import routing_table
from signalbox.host.shared.route_rules import traits
from signalbox.settings import Settings, SettingsError
from tests.claude_requests import recorded, request
from tests.good_settings import layers
from tests.unit.gateway_plugins import loaded

SONNET, OPUS, HAIKU = "claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5"
LOCAL, API = "local", "the Claude API account of ANTHROPIC_DIRECT_KEY"
A = [
    {"when": {"lane": "local", "images": True}, "to": "claude-sonnet"},  # by an alias
    {"when": {"tokens_over": 30000}, "to": OPUS},
    {"when": {"lane": "local", "thinking": False}, "to": HAIKU},
]
B = [
    {"when": {"thinking": True, "tokens_over": 21000, "images": False}, "to": OPUS},
    {"when": {"lane": "cloud", "images": False}, "to": LOCAL},
    {"when": {"lane": "routed", "thinking": False}, "to": SONNET},
]
# Who is asked: of each kind that was recorded, in the lanes routed, local and cloud, by the rules A, then by B.
ANSWERERS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "main -p": ((SONNET, LOCAL, SONNET), (OPUS, OPUS, OPUS)),
    "an image as a tool's result": ((SONNET, SONNET, SONNET), (SONNET, LOCAL, SONNET)),
    "a long file was read": ((OPUS, OPUS, OPUS), (OPUS, OPUS, OPUS)),
    "compaction": ((OPUS, OPUS, OPUS), (OPUS, OPUS, OPUS)),
    "after compaction": ((SONNET, LOCAL, SONNET), (OPUS, OPUS, OPUS)),
    "opus, effort max": ((OPUS, LOCAL, OPUS), (OPUS, LOCAL, LOCAL)),
    "main with all tools": ((OPUS, OPUS, OPUS), (OPUS, OPUS, OPUS)),
    "subagent": ((SONNET, LOCAL, SONNET), (SONNET, LOCAL, LOCAL)),
    "subagent with an image": ((SONNET, SONNET, SONNET), (SONNET, LOCAL, SONNET)),
    "subagent's answer": ((OPUS, OPUS, OPUS), (OPUS, OPUS, OPUS)),
    "subagent Explore": ((SONNET, LOCAL, SONNET), (SONNET, LOCAL, LOCAL)),
    "web search": ((SONNET, HAIKU, SONNET), (SONNET, LOCAL, LOCAL)),
    "web search found": ((OPUS, OPUS, OPUS), (OPUS, OPUS, OPUS)),
    "main at a terminal": ((SONNET, LOCAL, SONNET), (OPUS, OPUS, OPUS)),
    "title": ((LOCAL, HAIKU, HAIKU), (SONNET, LOCAL, LOCAL)),
    "second turn at a terminal": ((SONNET, LOCAL, SONNET), (OPUS, OPUS, OPUS)),
}
LANES = ("routed", "local", "cloud")
TABLE = [
    (rules, kind, lane, wanted[lanes])
    for kind, both in ANSWERERS.items()
    for rules, wanted in zip("AB", both, strict=True)
    for lanes, lane in enumerate(LANES)
]  # fmt: skip
RULES = {"A": A, "B": B}


def settings(rules: list[dict[str, Any]], **more: Any) -> Settings:
    # No other limit: the local model has room for all of it.
    box = {"lmstudio": {"models": {"local": {"context_length": 131072}}}}
    data = {"backends": box, "gateway": {"rules": rules, **more.pop("gateway", {})}, **more}
    return Settings.from_layers(layers(data), host="box1")


def body_in(found: Settings, lane: str, kind: str) -> dict[str, Any]:
    """Return the request as this lane's Claude Code would send it: for its own models."""
    body = request(kind)
    slot = {SONNET: "main", OPUS: "opus", LOCAL: "haiku"}[body["model"]]
    return {**body, "model": found.lanes[lane].models[slot]}


Send = Callable[..., tuple[str, Any]]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Settings], Send]]:
    """Return a gateway of settings: it tells which model a request goes on to, and the audit's request."""
    with ExitStack() as stack:

        def of(found: Settings) -> Send:
            for name, value in container_environment(found, routing_table(found)).items():
                if name.startswith("SIGNALBOX_"):
                    monkeypatch.setenv(name, value)
            plugins = stack.enter_context(loaded(monkeypatch, tmp_path))

            def send(
                body: dict[str, Any], lane: str | None = "routed", session: str = "s", agent: str = "", **more: Any
            ) -> Any:
                given = {"x-claude-code-session-id": session, "x-claude-code-agent-id": agent, **more}
                given |= {"x-signalbox-lane": lane} if lane else {}
                pairs = [(name.encode(), value.encode()) for name, value in given.items() if value]
                asked = plugins.request_record.Request({"path": "/v1/messages", "headers": pairs})
                asked.asks_for(body)
                return plugins.rules.moved(body, asked).get("model"), asked

            return send

        yield of


@pytest.mark.parametrize("rules", ["A", "B"])
def test_recorded_requests_go_where_the_rules_say_and_explain_says_the_same(
    gateway: Callable[[Settings], Send], rules: str
) -> None:
    found = settings(RULES[rules])
    table, send = routing_table(found), gateway(found)
    assert set(ANSWERERS) == set(recorded())
    for number, (of, kind, lane, wanted) in enumerate(TABLE):
        if of != rules:
            continue
        body = body_in(found, lane, kind)
        model, asked = send(body, lane, session=f"session-{number}")
        assert table.own[model] == wanted, (kind, lane)
        told = explained(found, table, found.lanes[lane], body)
        assert (told.model, told.rule) == (wanted, asked.rule), (kind, lane)
        assert asked.line()["rule"] == asked.rule
    assert len(TABLE) >= 60


def test_what_a_request_is_taken_for_is_what_was_recorded() -> None:
    for kind, shape in recorded().items():
        found = traits(request(kind))
        images = json.dumps(shape["messages"]).count('"image"')
        assert found.images == bool(images), kind
        assert found.thinking == (shape["thinking"] == "adaptive"), kind
        assert found.converses == (kind not in ("title", "web search")), kind
        # What was sent in its bytes, without what an image is in base64; names and ids are not made anew.
        assert abs(found.tokens - shape["bytes"] / 4) < 0.06 * shape["bytes"] / 4 + 1600 * images + 120, kind


def test_a_conversation_stays_where_a_rule_has_moved_it(gateway: Callable[[Settings], Send]) -> None:
    found = settings(A)
    send = gateway(found)

    def asked(kind: str, **more: Any) -> str:
        model, line = send(body_in(found, "local", kind), "local", **more)
        return f"{model} ({line.rule})"

    assert asked("main at a terminal") == "local (None)"
    assert asked("title") == f"{HAIKU} (no thinking in local)"  # beside the conversation: it moves nothing
    assert asked("main at a terminal") == "local (None)"
    assert asked("a long file was read") == f"{OPUS} (more than 30000 tokens)"
    assert asked("subagent", agent="a1") == "local (None)"  # a conversation of its own
    assert asked("compaction") == f"{OPUS} (more than 30000 tokens)"
    assert asked("after compaction") == f"{OPUS} (more than 30000 tokens)"  # shorter, and stays
    assert asked("after compaction", session="another") == "local (None)"
    assert asked("an image as a tool's result") == f"{SONNET} (images in local)"  # another rule moves it on
    assert asked("after compaction") == f"{SONNET} (images in local)"


def test_only_so_many_conversations_are_remembered(
    gateway: Callable[[Settings], Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(A)
    send = gateway(found)
    monkeypatch.setattr("signalbox.host.gateway.rules.KEPT", 3)
    for number in range(5):
        send(body_in(found, "local", "compaction"), "local", session=f"s{number}")
    stays = [send(body_in(found, "local", "main -p"), "local", session=f"s{number}")[0] for number in range(5)]
    assert stays == [LOCAL, LOCAL, OPUS, OPUS, OPUS]


@pytest.mark.parametrize("body", [
    {}, {"model": 5}, {"model": "local", "messages": "x"}, {"model": "local", "messages": [5, {"content": 5}]},
    {"model": "local", "messages": [{"content": [{"type": "image", "source": 5}, {"type": "tool_result"}, {}, None]}]},
    {"model": "local", "messages": [{"content": [{"source": {"type": "url", "url": 7}}]}], "tools": {"a": 1}},
    {"model": "local", "thinking": "adaptive", "tools": [1]},
])  # fmt: skip
def test_a_request_may_hold_anything(gateway: Callable[[Settings], Send], body: dict[str, Any]) -> None:
    model, _ = gateway(settings([{"when": {"images": True}, "to": SONNET}]))(body, "local")
    assert model == body.get("model")


def test_no_rule_moves_what_is_of_no_lane_or_must_not_go_elsewhere(gateway: Callable[[Settings], Send]) -> None:
    send = gateway(settings(A))
    body = request("compaction")
    assert send(body, None)[0] == SONNET  # a client's, by a key of its own
    assert send({**body, "disable_fallbacks": True})[0] == SONNET  # a check of that very model
    assert send(body)[0] == OPUS


def test_in_a_lane_that_asks_first_a_rule_that_bills_waits(gateway: Callable[[Settings], Send]) -> None:
    found = settings(A, lanes={"local": {"fallbacks": "ask"}})
    send, table = gateway(found), routing_table(found)
    body = body_in(found, "local", "compaction")
    assert send(body, "local")[0] == LOCAL
    told = explained(found, table, found.lanes["local"], body)
    assert (told.model, told.rule) == (LOCAL, None)
    assert 'the lane asks first (fallbacks = "ask")' in dict(told.stages)["rules"]
    assert send(body, "local", **{"x-signalbox-billed": "yes"})[0] == OPUS


def test_a_budget_that_is_used_up_keeps_a_free_request_where_it_is(
    gateway: Callable[[Settings], Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings(A, budgets={"all": {"usd": 1}})
    send = gateway(found)
    import signalbox.host.gateway.rules as rules  # as it was loaded

    monkeypatch.setattr(rules.deployments, "of_model", lambda model: [{"model_info": {"id": f"anthropic/{model}"}}])
    monkeypatch.setattr(rules.budget.ledger, "used_up", lambda *_: {"usd": 1})
    assert send(body_in(found, "local", "compaction"), "local")[0] == LOCAL
    assert send(body_in(found, "routed", "compaction"), "routed")[0] == OPUS  # its own model bills as well


IMAGES = {"images": True}
PRIVATE = {"when": {"lane": "local-private", **IMAGES}, "to": SONNET}


def over(tokens: Any, to: str = SONNET) -> dict[str, Any]:
    return {"when": {"tokens_over": tokens}, "to": to}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"when": {}, "to": SONNET}], "gateway.rules.0.when: without a condition it answers everything"),
        ([{"when": IMAGES, "to": "claude-sonet"}],
         'gateway.rules.0.to: no enabled backend or cloud has a model "claude-sonet"; did you mean'),
        ([{"when": IMAGES}], "gateway.rules.0.to"),
        ([{"to": SONNET}], "gateway.rules.0.when"),
        ([{"when": {"image": True}, "to": SONNET}], "gateway.rules.0.when"),
        ([{"when": {"images": "yes"}, "to": SONNET}], "gateway.rules.0.when.images"),
        ([over(10)], "gateway.rules.0.when.tokens_over"),
        ([over(True)], "gateway.rules.0.when.tokens_over"),
        ([{"when": {"lane": "locla"}, "to": SONNET}],
         'gateway.rules.0.when.lane: there is no lane "locla"; did you mean "local"?'),
        ([PRIVATE], 'gateway.rules.0.when.lane: "local-private" is private: no rule leads out of it'),
        ([{**PRIVATE, "to": LOCAL}], "is private"),
        ([{"when": {"lane": "api"}, "to": SONNET}], "goes past the gateway (first-party)"),
        ([{"when": IMAGES, "to": SONNET}, {"when": {**IMAGES, "lane": "routed"}, "to": OPUS}],
         "gateway.rules.1: it is never reached: rule 0 above"),
        ([over(5000), over(50000, OPUS)], "gateway.rules.1: it is never reached"),
        ([over(200000, LOCAL)], '"local" has a context of 131072 tokens'),
        ([{"when": IMAGES, "to": LOCAL, "then": 5}], "gateway.rules.0"),
        ({"images": SONNET}, "gateway.rules"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(rules: Any, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(rules)
    told = [f"{'.'.join(map(str, each.path))}: {each.text}" for each in raised.value.problems["box1"]]
    assert any(each.startswith(said) or (not said.startswith("gateway.") and said in each) for each in told), told


def test_rules_in_order_of_what_they_take_are_fine() -> None:
    wide = [{"when": {"tokens_over": 50000}, "to": OPUS}, {"when": {"tokens_over": 5000}, "to": SONNET}]
    assert len(routing_table(settings(wide)).rules) == 2


def test_whom_a_rule_bills_is_told() -> None:
    found = settings(A, gateway={"fallbacks": {"local": []}})
    table = routing_table(found)
    assert billed(found, table, found.lanes["local"]) == (
        f"nobody; images in local: {API}; more than 30000 tokens: {API}; no thinking in local: {API}"
    )
    assert billed(found, table, found.lanes["cloud"]) == API
    assert billed(found, table, found.lanes["local-private"]) == "nobody; nothing leaves your network"


def test_a_lane_in_auto_mode_gets_claudes_alone_by_rules_too() -> None:
    with pytest.raises(SettingsError, match="only a Claude judges calls"):
        settings(B, lanes={"cloud": {"permission_mode": "auto"}})


def test_the_command_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.commands.route.read_layers", lambda *_: (layers({"gateway": {"rules": A}}), "box1"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "request.json"
    file.write_text("{}")
    assert "there is no project here" in CliRunner().invoke(route, ["--explain", str(file), "--lane", "local"]).output
    (tmp_path / "inventory.py").write_text("")
    file.write_text(json.dumps(request("compaction")))
    done = CliRunner().invoke(route, ["--explain", str(file), "--lane", "routed", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["model"], told["rule"], told["backends"]) == (OPUS, "more than 30000 tokens", ["anthropic"])
    assert [stage for stage, _ in told["stages"]] == ["request", "lane", "rules", "answers", "fails", "open"]
    done = CliRunner().invoke(route, ["--explain", str(file), "--lane", "locla"])
    assert "--lane: write one of routed, local, local-private, cloud" in done.output
    for wrong in ("", "[]", "{}", '{"model": 5}', "{" * 50000):
        file.write_text(wrong)
        done = CliRunner().invoke(route, ["--explain", str(file), "--lane", "routed"])
        assert (done.exit_code, "this is no request" in done.output) == (1, True), done.output
