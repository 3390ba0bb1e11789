"""Tools' schemas as a server can take them that makes a grammar of them: llama.cpp, and what is built on it.

One keyword that its grammar does not know is answered with 400, whatever is asked and whichever tool has it: a pattern
with a lookahead or `\\d` (github.com/codefuturist/email-mcp/issues/58, rowboatlabs/rowboat/issues/740) or without
anchors (ggml-org/llama.cpp/issues/26930), one in a nested schema (ggml-org/llama.cpp/issues/25746), a string or list of
thousands (firecrawl/firecrawl/issues/4512). They bind nobody: who has the tool checks what it is called with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SAID = ("pattern", "format")  # what a model can go by is told in the description
LEFT_OUT = {*SAID, "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems",
            "contains", "minContains", "maxContains", "not", "if", "then", "else", "propertyNames", "patternProperties",
            "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "contentEncoding",
            "contentMediaType", "contentSchema"}  # fmt: skip
BY_NAME = ("properties", "$defs", "definitions")  # their members are schemas
SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
ONE = ("items", "additionalProperties", "additionalItems")
LOOKED_AT = frozenset((*LEFT_OUT, *BY_NAME, *SEVERAL, *ONE, "$ref"))  # a schema with none of these is plain
DEEPEST = 40  # what lies below is anything
LONGEST = 200  # characters of a pattern that is told


def plain_tools(tools: object) -> list[Any] | None:
    """Return the tools of a request, in Anthropic's format or OpenAI's, with plain schemas; None: they are plain."""
    if not isinstance(tools, list):
        return None
    result = [_plain_tool(tool) for tool in tools]
    return None if _same(result, tools) else result


def _plain_tool(tool: object) -> object:
    """Return the tool itself where it is plain: there are many, in each request, and most are."""
    if not isinstance(tool, dict):
        return tool
    schema = tool.get("input_schema")
    if isinstance(schema, dict):
        return tool if (found := plain(schema)) is schema else {**tool, "input_schema": found}
    function = tool.get("function")
    if isinstance(function, dict) and isinstance(schema := function.get("parameters"), dict):
        found = plain(schema)
        return tool if found is schema else {**tool, "function": {**function, "parameters": found}}
    return tool


def plain(schema: object, depth: int = 0) -> Any:
    """Return a JSON schema without what no grammar can be made of, itself where that is none of it.

    true and false are schemas too.
    """
    if not isinstance(schema, dict) or LOOKED_AT.isdisjoint(schema):
        return schema
    if depth > DEEPEST or not str(schema.get("$ref", "#")).startswith("#"):  # what lies elsewhere is not fetched
        return {}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in BY_NAME and isinstance(value, dict):
            below = [plain(each, depth + 1) for each in value.values()]
            result[key] = value if _same(below, value.values()) else dict(zip(value, below, strict=True))
        elif isinstance(value, list) and (key in SEVERAL or key in ONE):
            below = [plain(each, depth + 1) for each in value]
            result[key] = value if _same(below, value) else below
        elif key in ONE:
            result[key] = plain(value, depth + 1)
        elif key not in LEFT_OUT:
            result[key] = value
    said = [f"{key}: {schema[key][:LONGEST]}" for key in SAID if isinstance(schema.get(key), str)]
    if said:
        result["description"] = " ".join(filter(None, (str(schema.get("description") or ""), f"({'; '.join(said)})")))
    return schema if len(result) == len(schema) and _same(result.values(), schema.values()) else result


def _same(some: Iterable[object], others: Iterable[object]) -> bool:
    """Return whether these are the same objects, in the same order."""
    return all(each is other for each, other in zip(some, others, strict=True))
