"""Checks of what answers a lane: the gateway, a short real request to each local model, and with --billed to clouds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from subprocess import TimeoutExpired
from typing import Any

from .check import Finding, check
from .host_context import AGENT, Answer, Here, ask, key_in
from .symptoms import explain, symptoms

# What the refusal of a short request may name; anything else is told in the server's words.
OF_A_REFUSAL = (
    "context-small", "extra-inputs", "tools-as-text", "empty-response", "model-not-found", "model-not-loaded",
    "backend-token", "backend-off", "gateway-key-wrong", "empty-gateway-key", "provider-refuses-key", "rate-limit",
    "quota-used-up", "beta-header", "tls", "late-system", "image-refused", "tools-grammar",
)  # fmt: skip
CHEAP = "claude-haiku-4-5"  # what a lane without models of its own is asked
CLAUDE_CODE = {
    "system": [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}],
    "metadata": {"user_id": "claude-doctor"},
    "thinking": {"type": "disabled"},
}
TOOL = {
    "name": "report",
    "description": "Report one word.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


@check(AGENT, needs=("docker", "gateway", "keys", "users"))
def gateway_answers(here: Here) -> Iterator[Finding]:
    """The gateway answers, takes the lanes' key, and has every lane's models"""
    gateway = here.expected["gateway"]
    lanes = {name: lane for name, lane in here.lanes.items() if lane["via"] == "gateway"}
    if not gateway["enabled"]:
        return
    alive = ask(f"{gateway['url']}/health/liveliness")
    if alive.status != 200:
        said = alive.text[:200] if not alive.status else f"it answers {alive.status}"
        yield Finding("gateway-silent", f"{gateway['url']}: {said}")
        return
    for lane in lanes.values():
        answer = ask(f"{gateway['url']}/v1/models", _key(lane))
        if answer.status in (400, 401, 403):
            yield Finding("gateway-key-wrong", f"it answers {answer.status} to {lane['key_file']}", lane["key_file"])
            return
        if answer.status != 200:
            said = answer.text[:200] if not answer.status else f"it answers {answer.status}"
            yield Finding("gateway-silent", f"{gateway['url']}/v1/models: {said}")
            return
        served = {model.get("id") for model in (answer.json() or {}).get("data", [])}
        missing = sorted(set(lane["models"].values()) - served)
        if missing:
            yield Finding("model-not-found", f"the gateway has no {', '.join(missing)}", gateway["config"])
            return


@check(AGENT, needs=("gateway-answers", "backends", "lane-records"), heavy=True)
def local_models(here: Here) -> Iterator[Finding]:
    """Each local model that a lane uses answers a short request with a tool call; nothing goes to a cloud"""
    asked: dict[tuple[str, str], tuple[str, dict[str, Any], dict[str, Any]]] = {}
    for name, lane in here.lanes.items():
        if lane["via"] == "gateway" and ask(f"{here.expected['gateway']['url']}/health/liveliness").status != 200:
            continue  # `gateway_answers` tells that; a request would wait for as long as a model may take
        for model in dict.fromkeys(lane["models"].values()):
            server = here.expected["local"].get(model)
            if server and not here.unwell.issuperset(_backends(server)):
                asked.setdefault((lane["via"], model), (name, lane, server))
    # Side by side: each may take as long as a model needs to be loaded.
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = {
            (via, model): pool.submit(_smoke, here, name, lane, model, server)
            for (via, model), (name, lane, server) in asked.items()
        }
        for key, answer in answers.items():
            for finding in answer.result():
                yield replace(finding, subjects=(*_backends(asked[key][2]), key[1]))


def _backends(server: dict[str, Any]) -> tuple[str, ...]:
    """Return the backends that have this model."""
    return tuple(dict.fromkeys(box.partition("/")[0] for box in server["boxes"]))


@check(AGENT, needs=("gateway-answers", "clouds"))
def billed(here: Here) -> Iterator[Finding]:
    """Each cloud lane with a key answers one short request (only with --billed)"""
    for name, lane in here.lanes.items() if here.billed else ():
        main = lane["models"].get("main")
        if (main and main in here.expected["local"]) or not lane["key_file"]:
            continue  # free, or a lane for a login of its own, which only Claude Code has
        model = lane["environment"].get("ANTHROPIC_MODEL", CHEAP)
        body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Say OK."}]}
        body |= {"disable_fallbacks": True} if lane["via"] == "gateway" else {}
        answer = _request(lane, body, name, here.expected["limits"]["smoke_seconds"])
        if answer.status != 200:
            yield _refused(f"the lane {name} ({model})", answer)


def one_request(here: Here, model: str, *, fallback: bool) -> dict[str, Any]:
    """Send one short request for a model through the gateway; return status, what was said, and who answered."""
    for name, lane in here.lanes.items():
        if lane["via"] == "gateway" and model in lane["models"].values():
            body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Say OK."}]}
            body |= {} if fallback else {"disable_fallbacks": True}
            answer = _request(lane, body, name, here.expected["limits"]["smoke_seconds"])
            return {"status": answer.status, "said": answer.text[:200], "by": _by(answer)}
    return {"error": f"no lane has {model} through the gateway"}


def _by(answer: Answer) -> str:
    """Return the backend or cloud that answered and its model, as the gateway tells: "backend/model"."""
    return {name.lower(): value for name, value in answer.headers.items()}.get("x-litellm-model-id", "")


def _smoke(here: Here, name: str, lane: dict[str, Any], model: str, server: dict[str, Any]) -> list[Finding]:
    body = {
        # A server itself knows its own id, the gateway our name; and no fallback, which would be billed.
        **({"model": model, "disable_fallbacks": True} if lane["via"] == "gateway" else {"model": server["id"]}),
        "max_tokens": 300,
        "tools": [TOOL],
        "tool_choice": {"type": "any"},
        "messages": [{"role": "user", "content": 'Call the tool "report" with the word "signal".'}],
        # The server itself gets what Claude Code sends it; the gateway takes out what others do not know.
        **(CLAUDE_CODE if lane["via"] == "direct" else {}),
    }
    answer = _request(lane, body, name, here.expected["limits"]["smoke_seconds"])
    what = f"{model} by the lane {name}"
    finding = _refused(what, answer) if answer.status != 200 else _spoiled(here, what, lane, answer, server)
    return [finding] if finding else []


def _spoiled(here: Here, what: str, lane: dict[str, Any], answer: Answer, server: dict[str, Any]) -> Finding | None:
    """Return what is wrong with an answer that should be a tool call of the right model."""
    message = answer.json()
    if not isinstance(message, dict):
        return Finding("smoke", f"{what}: the answer is no JSON")
    content = message.get("content") or []
    text = "".join(part.get("text", "") for part in content if part.get("type") == "text")
    calls = [part for part in content if part.get("type") == "tool_use"]
    if "<unused" in text:
        return Finding("unused-tokens", f"{what} says: {text[:120]}")
    if not content or not (text.strip() or calls):
        return Finding("empty-response", f"{what} answers with no content")
    if calls and message.get("stop_reason") == "max_tokens":
        return Finding("truncated-edits", f"{what}: the tool call was cut off")
    if not calls:
        return Finding("tools-as-text", f"{what} was asked to call a tool and says: {text[:120]}")
    if _by(answer) and _by(answer) not in server["boxes"]:
        config = here.expected["gateway"]["config"] if lane["via"] == "gateway" else ""
        return Finding("wrong-model", f"{what} was answered by {_by(answer)}", config)
    if lane["via"] == "direct" and message.get("model") not in (server["id"], None):
        return Finding("wrong-model", f"{what} was answered by {message['model']}")
    return None


def _request(lane: dict[str, Any], body: dict[str, Any], name: str, seconds: int) -> Answer:
    headers = {**_key(lane), "anthropic-version": "2023-06-01", "x-signalbox-lane": name}
    cloud = lane["via"] == "first-party"
    return ask(f"{lane['goes_to']}/v1/messages", headers, body, timeout=seconds, proxies=cloud)


def _refused(what: str, answer: Answer) -> Finding:
    error = (answer.json() or {}).get("error", {}) if isinstance(answer.json(), dict) else {}
    said = (error.get("message") if isinstance(error, dict) else str(error)) or answer.text
    among = {each: symptoms()[each] for each in OF_A_REFUSAL}
    known = explain(said, among)
    return Finding(known[0].id if known else "smoke", f"{what}: {answer.status or 'no answer'} {said[:240]}")


def _key(lane: dict[str, Any]) -> dict[str, str]:
    try:
        key = key_in(lane["key_file"]) if lane["key_file"] else ""
    except (OSError, TimeoutExpired):  # another check tells that
        key = ""
    return {"x-api-key": key} if lane["via"] == "first-party" else {"Authorization": f"Bearer {key or 'none'}"}
