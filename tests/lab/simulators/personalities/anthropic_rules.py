"""What the Claude API refuses beyond the shape of a request, in its own words.

Each rule names where its words were seen; "assumed" marks words that no public source gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.lab.simulators.personalities.anthropic_betas import BETAS
from tests.lab.simulators.wire.anthropic_messages import signature
from tests.lab.simulators.wire.anthropic_schema import CountTokens, Message, Messages

DOCS = "https://docs.claude.com/en"
MAX_CACHE_BREAKPOINTS = 4
VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")  # docs, "Versions"

# fields that exist for a beta only, and the beginning of the header that turns them on
# (anthropic 2.11: in the beta parameters, not in the others)
BETA_FIELDS = {
    "context_management": ("context-management-", "compact-"),
    "mcp_servers": ("mcp-client-",),
    "fallbacks": ("server-side-fallback-",),
    "fallback_credit_token": ("fallback-credit-",),
    "compaction": ("compact-",),
    "thread": ("message-threads-",),
}


@dataclass(frozen=True)
class Model:
    """A model and what it can do.

    What no source below gives is assumed, and agrees with what Claude Code 2.1.329 sends to each.
    """

    id: str
    display_name: str
    created_at: str  # assumed
    line: str
    adaptive: bool = True  # accepts thinking.type = "adaptive"
    budget: bool = True  # accepts thinking.type = "enabled"
    effort: bool = True
    system_role: bool = False  # accepts system messages in the middle of a conversation
    prefill: bool = False  # accepts a conversation that ends with the assistant
    context: int = 200_000
    max_output: int = 64_000


MODELS = (
    # only adaptive thinking: measured on api.anthropic.com, handochan/aelix-ai#258
    Model(
        "claude-opus-4-8",
        "Claude Opus 4.8",
        "2026-05-01T00:00:00Z",
        "opus",
        budget=False,
        system_role=True,
        context=1_000_000,
        max_output=128_000,
    ),
    Model("claude-sonnet-4-6", "Claude Sonnet 4.6", "2026-02-17T00:00:00Z", "sonnet"),
    # neither adaptive thinking (mnfst/llm-gateway#1928) nor effort (TauricResearch/TradingAgents#831)
    Model(
        "claude-haiku-4-5-20251001",
        "Claude Haiku 4.5",
        "2025-10-15T00:00:00Z",
        "haiku",
        adaptive=False,
        effort=False,
        prefill=True,
    ),
)
ALIASES = {"claude-haiku-4-5": "claude-haiku-4-5-20251001"}  # of the official client library's list of models


def unknown_betas(header: str | None) -> str | None:
    """The refusal of beta headers that do not exist (seen in QuantumNous/new-api#2975), or None."""
    unknown = [beta for beta in split(header) if beta not in BETAS]
    if not unknown:
        return None
    named = ", ".join(f"`{beta}`" for beta in unknown)
    return (
        f"Unexpected value(s) {named} for the `anthropic-beta` header. Please consult our documentation at "
        "docs.claude.com or try again without the header."
    )


def split(header: str | None) -> list[str]:
    """The values of a comma-separated header."""
    return [value.strip() for value in (header or "").split(",") if value.strip()]


def first_refusal(request: CountTokens, model: Model, version: str, asked: list[str]) -> str | None:
    """Why the vendor refuses this request, well-formed as it is, or None.

    version: of the API, as the client asked for it. asked: its beta headers.
    """
    if version == "2026-10-21":
        for refusal in _newest_version(request):
            return refusal
    return next(_refusals(request, model, asked), None)


def _newest_version(request: CountTokens) -> Iterator[str]:
    """What API version 2026-10-21 no longer takes (docs, "Migrating to API version 2026-10-21"); the words: assumed."""
    for field in ("temperature", "top_p", "top_k"):
        if getattr(request, field, None) is not None:
            yield f"{field}: Extra inputs are not permitted"
    for index, message in enumerate(request.messages):
        for position, block in enumerate(message.blocks):
            if message.role == "assistant" and block.type == "document":
                yield f"messages.{index}.content.{position}: `document` blocks are not permitted in assistant messages"
            if message.role == "user" and block.type == "text" and block.citations:
                yield f"messages.{index}.content.{position}.text.citations: Extra inputs are not permitted"


def _refusals(request: CountTokens, model: Model, asked: list[str]) -> Iterator[str]:
    for field, prefixes in BETA_FIELDS.items():
        if getattr(request, field, None) is not None and not any(beta.startswith(prefixes) for beta in asked):
            yield f"{field}: Extra inputs are not permitted"  # as for every field that is not known
    if "prompt-caching-scope-2026-01-05" not in asked:
        for block in _cacheable(request):
            if (control := getattr(block, "cache_control", None)) and control.scope:
                yield "cache_control.scope: Extra inputs are not permitted"  # the path: assumed
    yield from _content(request)
    yield from _roles(request.messages, model)
    yield from _pairs(request.messages)
    yield from _thinking(request, model)
    yield from _tools(request)


def _content(request: CountTokens) -> Iterator[str]:
    last = len(request.messages) - 1
    for index, message in enumerate(request.messages):
        if not message.content and not (index == last and message.role == "assistant"):
            # anthropics/claude-code#6774
            yield (
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        for block in message.blocks if message.content else ():
            if block.type == "text" and not block.text:
                yield "messages: text content blocks must be non-empty"  # anthropics/claude-code#59812
            elif block.type == "text" and not block.text.strip():
                yield "messages: text content blocks must contain non-whitespace text"  # assumed
    breakpoints = sum(1 for block in _cacheable(request) if getattr(block, "cache_control", None))
    if breakpoints > MAX_CACHE_BREAKPOINTS:
        # tghamm/Anthropic.SDK#50
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {breakpoints}."


def _cacheable(request: CountTokens) -> Iterator[Any]:
    yield request
    if isinstance(request.system, list):
        yield from request.system
    yield from request.tools or ()
    for message in request.messages:
        for block in message.blocks:
            yield block
            if block.type == "tool_result" and isinstance(block.content, list):
                yield from block.content


def _roles(messages: list[Message], model: Model) -> Iterator[str]:
    for index, message in enumerate(messages):
        if message.role != "system":
            continue
        if index == 0:
            # ianarawjo/ChainForge#271
            yield (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not '
                '"system" as an input message role.'
            )
        elif not model.system_role:
            yield "role 'system' is not supported on this model"  # anthropics/claude-code#61412
        elif index + 1 < len(messages) and messages[index + 1].role != "assistant":
            # anthropics/claude-code#73821
            yield f"messages.{index}: role 'system' must precede an 'assistant' message or end the array"
    if messages[-1].role == "assistant" and not model.prefill:
        # anthropics/claude-code#52433: from 4.6 on
        yield "This model does not support assistant message prefill. The conversation must end with a user message."


def _pairs(messages: list[Message]) -> Iterator[str]:
    """Each tool_use is answered at the beginning of the next user message, and nothing else is."""
    open_calls: list[str] = []
    leading = True  # so far the user message has only results
    previous = None
    seen: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "assistant" and previous == "user" and open_calls:
            yield _unanswered(index - 1, open_calls)
        if message.role != previous:
            leading = True
            if message.role == "assistant":
                open_calls = []
        for position, block in enumerate(message.blocks if message.content else ()):
            if block.type == "tool_use":
                if block.id in seen:
                    # anthropics/claude-code#21083
                    yield f"messages.{index}.content.{position}: `tool_use` ids must be unique"
                seen.add(block.id)
                open_calls.append(block.id)
            elif block.type == "tool_result":
                if block.tool_use_id not in open_calls:
                    # anthropics/claude-code#11017
                    yield (
                        f"messages.{index}.content.{position}: unexpected `tool_use_id` found in `tool_result` "
                        f"blocks: {block.tool_use_id}. Each `tool_result` block must have a corresponding `tool_use` "
                        "block in the previous message."
                    )
                elif leading:
                    open_calls.remove(block.tool_use_id)
            elif message.role == "user":
                leading = False
        previous = message.role
    if previous == "user" and open_calls:
        yield _unanswered(len(messages) - 2, open_calls)


def _unanswered(index: int, calls: list[str]) -> str:
    # anthropics/claude-code#8210
    return (
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _thinking(request: CountTokens, model: Model) -> Iterator[str]:
    for index, message in enumerate(request.messages):
        for position, block in enumerate(message.blocks if message.content else ()):
            if block.type == "thinking" and block.signature != signature(block.thinking):
                # anthropics/claude-code#10627; happens when a session comes from another provider
                yield f"messages.{index}.content.{position}: Invalid `signature` in `thinking` block"
    thinking = request.thinking
    if thinking is not None and thinking.type == "adaptive" and not model.adaptive:
        yield "adaptive thinking is not supported on this model"  # mnfst/llm-gateway#1928
    if thinking is not None and thinking.type == "enabled":
        if not model.budget:
            # handochan/aelix-ai#258
            yield (
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
        if isinstance(request, Messages) and request.max_tokens <= thinking.budget_tokens:
            # docker/cagent#1750; the address: assumed
            yield (
                "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
                f"{DOCS}/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
            )
        if request.tool_choice is not None and request.tool_choice.type in ("any", "tool"):
            # docs, "Extended thinking", with tool use; the words: assumed
            yield "Thinking may not be enabled when tool_choice forces tool use."
    thinks = thinking is not None and thinking.type in ("enabled", "adaptive")
    if thinks and isinstance(request, Messages) and request.temperature not in (None, 1):
        # mnfst/modelparams.dev#214
        yield (
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. Please consult our "
            "documentation at https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
        )
    if request.output_config is not None and request.output_config.effort and not model.effort:
        yield "This model does not support the effort parameter."  # anthropics/claude-code#30010


def _tools(request: CountTokens) -> Iterator[str]:
    names = [tool.name for tool in request.tools or ()]
    if len(names) != len(set(names)):
        yield "tools: Tool names must be unique."  # assumed
    choice = request.tool_choice
    if choice is not None and not names and choice.type != "none":
        yield "tool_choice: may only be specified while providing tools"  # assumed
    elif choice is not None and choice.type == "tool" and choice.name not in names:
        yield f"Tool '{choice.name}' not found in provided tools"  # assumed
