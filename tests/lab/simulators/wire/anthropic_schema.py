"""What the Anthropic Messages API accepts, as types: unknown fields are refused, nothing is coerced.

Fields as in the official client library (anthropic 2.11, `MessageCreateParams` and its beta twin) and
https://platform.claude.com/docs/en/api/messages. The vendor's own messages are pydantic's ("max_tokens: Field
required", "messages.65.content.1.tool_use.text: Extra inputs are not permitted", anthropics/claude-code#4378), so the
same library gives the same words.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator

# tags that name a branch of a union here and do not occur in the vendor's paths
_SILENT = {"as-text", "as-list", "server-tool"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Open(BaseModel):
    """For what this simulator passes over: server tools, citations, images."""

    model_config = ConfigDict(extra="allow", strict=True)


class CacheControl(Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None
    scope: str | None = None  # with a beta header only


class Cacheable(Strict):
    cache_control: CacheControl | None = None


class TextBlock(Cacheable):
    type: Literal["text"]
    text: str
    citations: list[Any] | None = None


class ImageBlock(Cacheable):
    type: Literal["image"]
    source: Open


class DocumentBlock(Cacheable):
    type: Literal["document"]
    source: Open
    title: str | None = None
    context: str | None = None
    citations: Open | None = None


class SearchResultBlock(Cacheable):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]
    citations: Open | None = None


class ToolReferenceBlock(Cacheable):
    type: Literal["tool_reference"]
    tool_name: str


class ThinkingBlock(Strict):
    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(Strict):
    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Cacheable):
    type: Literal["tool_use"]
    id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    name: str = Field(min_length=1, max_length=200)
    input: dict[str, Any]
    caller: Open | None = None


def _form(value: Any) -> str:
    return "as-text" if isinstance(value, str) else "as-list"


def _text_or(blocks: Any) -> Any:
    """A plain text, or a list of these blocks."""
    return Annotated[
        Annotated[str, Tag("as-text")] | Annotated[list[blocks], Tag("as-list")],  # type: ignore[valid-type]
        Discriminator(_form),
    ]


ResultBlock = Annotated[
    TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock, Field(discriminator="type")
]


class ToolResultBlock(Cacheable):
    type: Literal["tool_result"]
    tool_use_id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    content: _text_or(ResultBlock) | None = None  # type: ignore[valid-type]
    is_error: bool | None = None


Block = Annotated[
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock,
    Field(discriminator="type"),
]


class Message(Strict):
    role: Literal["user", "assistant", "system"]
    content: _text_or(Block)  # type: ignore[valid-type]

    @property
    def blocks(self) -> list[Any]:
        """The content as blocks, a text being one block."""
        return [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class InputSchema(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    type: Literal["object"]
    properties: dict[str, Any] | None = None
    required: list[str] | None = None

    @field_validator("properties")
    @classmethod
    def _keys(cls, properties: dict[str, Any] | None) -> dict[str, Any] | None:
        if not all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name) for name in properties or ()):
            # anthropics/claude-code#79418
            raise ValueError("Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'")
        return properties


class CustomTool(Cacheable):
    type: Literal["custom"] | None = None
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    description: str | None = None
    input_schema: InputSchema
    strict: bool | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None
    input_examples: list[dict[str, Any]] | None = None

    @field_validator("input_schema")
    @classmethod
    def _one_object(cls, schema: InputSchema) -> InputSchema:
        if {"oneOf", "allOf", "anyOf"} & set(schema.model_extra or ()):
            # anthropics/claude-code#5319
            raise ValueError("input_schema does not support oneOf, allOf, or anyOf at the top level")
        return schema


class ServerTool(Open):
    type: str = Field(pattern=r"^[a-z_0-9]+_20\d{6}$")
    name: str | None = None


Tool = Annotated[
    Annotated[CustomTool, Tag("custom")] | Annotated[ServerTool, Tag("server-tool")],
    Discriminator(lambda tool: "custom" if _type_of(tool) in (None, "custom") else "server-tool"),
]


def _type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


class AutoChoice(Strict):
    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class AnyChoice(Strict):
    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoice(Strict):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(Strict):
    type: Literal["none"]


class ThinkingEnabled(Strict):
    type: Literal["enabled"]
    budget_tokens: int = Field(ge=1024)
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(Strict):
    type: Literal["adaptive"]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingOther(Strict):
    type: Literal["disabled", "between_tools"]


class JsonFormat(Strict):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class Metadata(Strict):
    user_id: str | None = Field(None, max_length=2048)


class CountTokens(Strict):
    """The body of /v1/messages/count_tokens; max_tokens is refused there (seen in anthropics/claude-code#11017)."""

    model: str = Field(min_length=1, max_length=256)
    messages: list[Message] = Field(min_length=1)
    system: _text_or(TextBlock) | None = None  # type: ignore[valid-type]
    tools: list[Tool] | None = None
    tool_choice: Annotated[AutoChoice | AnyChoice | ToolChoice | NoChoice, Field(discriminator="type")] | None = None
    thinking: Annotated[ThinkingEnabled | ThinkingAdaptive | ThinkingOther, Field(discriminator="type")] | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    # with a beta header only, see the personality's rules
    context_management: Open | None = None
    mcp_servers: list[Open] | None = None


class Messages(CountTokens):
    """The body of /v1/messages."""

    max_tokens: int = Field(ge=0)
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0)
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    container: str | Open | None = None
    inference_geo: str | None = None
    diagnostics: Open | None = None
    # with a beta header only
    fallbacks: list[Any] | None = None
    fallback_credit_token: str | None = None
    compaction: Open | None = None
    thread: Open | None = None


def first_error(error: ValidationError) -> str:
    """The first problem in the vendor's form, "path: what is wrong"."""
    problem = error.errors()[0]
    path = ".".join(str(part) for part in problem["loc"] if part not in _SILENT)
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
