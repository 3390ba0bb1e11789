"""Gives each deployment a request that it can take: what Claude Code sends is made for the model that it asked for.

`model_info` says of a deployment: max_output_tokens, its most; claude: whether it is one; refuses: what it does not
take of a Claude's request: "late_system" (a system message in mid-conversation), "efforts" (above high), "betas",
"thinking" (adaptive), "idle_effort" (an effort where there is no thinking), "lost_thoughts" (thinking in a conversation
of which a turn that calls tools lacks its thoughts, as another model's), "cache_control", "x-api-key" where it wants
its key as a Bearer token. A server on one's own network gets tools that a grammar can be made of, and no header that
differs for each conversation: its prompt cache would be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import httpx

from ..shared.route_rules import thinks
from . import images, tool_schemas
from .deployments import ModelInfo, split
from .request_record import Request, current

CONNECT = 3.0  # seconds to connect to a local server, which LiteLLM would wait a whole timeout for
CONNECT_CLOUD = 5.0
BILLING = "x-anthropic-billing-header:"  # with which Claude Code 2.1.329 begins its system prompt for a Claude
BETAS = {"claude-code-20250219", "interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14"}


def rewritten(kwargs: dict[str, Any], info: ModelInfo, unread: Collection[str] = ()) -> dict[str, Any] | None:
    """Return LiteLLM's arguments of a request as the deployment takes them; None: as they are.

    unread: what of images.py the deployment cannot read.
    """
    changed: dict[str, Any] = {}
    if isinstance(timeout := kwargs.get("timeout"), int | float):
        bound = CONNECT if info.get("probe_url") else CONNECT_CLOUD
        changed["timeout"] = httpx.Timeout(timeout, connect=min(bound, timeout))
    most, wanted = info.get("max_output_tokens"), kwargs.get("max_tokens")
    if most and isinstance(wanted, int) and wanted > most:
        changed["max_tokens"] = most
    refuses = set(info.get("refuses") or ())
    request = current()
    if info.get("probe_url"):
        changed |= for_a_local_server(kwargs, request)
    if unread:
        changed["messages"] = images.without(kwargs.get("messages") or [], unread, split(info["id"])[1])
        if request:
            request.mended.add("images")
    if info.get("claude") and request and request.tried and request.tried[0].info["id"] != info.get("id"):
        refuses.add("late_system")  # made for another model
    if "late_system" in refuses:
        changed["messages"] = without_late_system(changed.get("messages") or kwargs.get("messages") or [])
    effort = (kwargs.get("output_config") or {}).get("effort")
    if "efforts" in refuses and effort in ("xhigh", "max"):
        changed["output_config"] = {**kwargs["output_config"], "effort": "high"}
    if "thinking" in refuses and (kwargs.get("thinking") or {}).get("type") == "adaptive":
        changed["thinking"] = {"type": "disabled"}
    if "lost_thoughts" in refuses and thinks(kwargs) and lost_thoughts(kwargs.get("messages") or []):
        changed["thinking"] = {"type": "disabled"}
    if "idle_effort" in refuses and effort and not thinks({**kwargs, **changed}):
        rest = {name: value for name, value in kwargs["output_config"].items() if name != "effort"}
        changed["output_config"] = rest or None
    if "cache_control" in refuses:
        marked = {name: changed.get(name, kwargs.get(name)) for name in ("system", "messages", "tools")}
        changed |= {name: without_cache_control(value) for name, value in marked.items() if isinstance(value, list)}
    if "betas" in refuses:
        changed |= without_betas(kwargs)
    if "x-api-key" in refuses:
        bearer = {"authorization": f"Bearer {kwargs.get('api_key')}"}
        changed["extra_headers"] = {**(kwargs.get("extra_headers") or {}), **bearer}
    return {**kwargs, **changed} if changed else None


def for_a_local_server(kwargs: dict[str, Any], request: Request | None) -> dict[str, Any]:
    """Return the arguments that a server on one's own network cannot take as they are, and have the audit tell it."""
    changed: dict[str, Any] = {}
    if (tools := tool_schemas.plain_tools(kwargs.get("tools"))) is not None:
        changed["tools"] = tools
        if request:
            request.mended.add("schemas")
    system = kwargs.get("system")
    if isinstance(system, list) and any(is_billing(block) for block in system):
        changed["system"] = [block for block in system if not is_billing(block)]
    return changed


def without_cache_control(value: Any) -> Any:
    """Return blocks, messages or tools without the marks up to where a prompt shall be cached."""
    if isinstance(value, list):
        return [without_cache_control(each) for each in value]
    if not isinstance(value, dict):
        return value
    plain = {name: each for name, each in value.items() if name != "cache_control"}
    return plain | {"content": without_cache_control(plain["content"])} if "content" in plain else plain


def lost_thoughts(messages: Iterable[object]) -> bool:
    """Return whether a turn calls tools without the thoughts that led to it."""
    for message in messages:
        content = message.get("content") if isinstance(message, dict) and message.get("role") == "assistant" else None
        kinds = {block.get("type") for block in content if isinstance(block, dict)} if isinstance(content, list) else ()
        if "tool_use" in kinds and not {"thinking", "redacted_thinking"} & set(kinds):
            return True
    return False


def is_billing(block: object) -> bool:
    """Return whether a block of the system prompt is for the vendor's accounts alone."""
    return isinstance(block, dict) and str(block.get("text", "")).startswith(BILLING)


def without_late_system(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with those of the role system as reminders in what the user says next, or said last."""
    result: list[dict[str, Any]] = []
    reminders: list[dict[str, Any]] = []
    for message in messages:
        if message.get("role") == "system":
            reminders.append({"type": "text", "text": f"<system-reminder>\n{text(message)}\n</system-reminder>"})
        elif message.get("role") == "user" and reminders:
            # Behind the results of tools, which must come first.
            result.append({**message, "content": [*blocks(message), *reminders]})
            reminders = []
        else:
            result.append(message)
    if reminders and result and result[-1].get("role") == "user":
        result[-1] = {**result[-1], "content": [*blocks(result[-1]), *reminders]}
    elif reminders:
        result.append({"role": "user", "content": reminders})
    return result


def blocks(message: Mapping[str, Any]) -> list[Any]:
    """Return a message's content as a list of blocks."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def text(message: Mapping[str, Any]) -> str:
    """Return the words of a message."""
    return "\n".join(block.get("text") or "" for block in blocks(message))


def without_betas(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that turn betas on, without those that the deployment does not know."""
    changed: dict[str, Any] = {"context_management": None} if kwargs.get("context_management") else {}
    given = kwargs.get("provider_specific_header")
    for each in [given] if isinstance(given, dict) else given or ():
        headers = each.get("extra_headers") or {}
        for name in [name for name in headers if name.lower() == "anthropic-beta"]:
            known = [beta for beta in headers[name].replace(" ", "").split(",") if beta in BETAS]
            headers = {key: value for key, value in headers.items() if key != name}
            headers |= {name: ",".join(known)} if known else {}
            changed["provider_specific_header"] = {**each, "extra_headers": headers}
    return changed
