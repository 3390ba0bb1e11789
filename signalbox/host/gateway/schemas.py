"""Tools' schemas as a server can take them that makes a grammar of them: llama.cpp, and what is built on it.

One keyword that its grammar does not know is answered with 400, whatever is asked and whichever tool has it: a pattern
with a lookahead or `\\d` (github.com/codefuturist/email-mcp/issues/58, rowboatlabs/rowboat/issues/740) or without
anchors (ggml-org/llama.cpp/issues/26930), one in a nested schema (ggml-org/llama.cpp/issues/25746), a string or list of
thousands (firecrawl/firecrawl/issues/4512). They bind nobody: who has the tool checks what it is called with.
"""

SAID = ("pattern", "format")  # what a model can go by is told in the description
LEFT_OUT = {*SAID, "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems",
            "contains", "minContains", "maxContains", "not", "if", "then", "else", "propertyNames", "patternProperties",
            "dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "contentEncoding",
            "contentMediaType", "contentSchema"}  # fmt: skip
BY_NAME = ("properties", "$defs", "definitions")  # their members are schemas
SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
ONE = ("items", "additionalProperties", "additionalItems")
DEEPEST = 40  # what lies below is anything
LONGEST = 200  # characters of a pattern that is told


def plain_tools(tools):
    """Return the tools of a request, in Anthropic's format or OpenAI's, with plain schemas; None: they are plain."""
    if not isinstance(tools, list):
        return None
    result = [_plain_tool(tool) for tool in tools]
    return result if result != tools else None


def _plain_tool(tool):
    if not isinstance(tool, dict):
        return tool
    if isinstance(tool.get("input_schema"), dict):
        return {**tool, "input_schema": plain(tool["input_schema"])}
    function = tool.get("function")
    if isinstance(function, dict) and isinstance(function.get("parameters"), dict):
        return {**tool, "function": {**function, "parameters": plain(function["parameters"])}}
    return tool


def plain(schema, depth=0):
    """Return a JSON schema without what no grammar can be made of; true and false are schemas too."""
    if not isinstance(schema, dict):
        return schema
    if depth > DEEPEST or not str(schema.get("$ref", "#")).startswith("#"):  # what lies elsewhere is not fetched
        return {}
    result = {}
    for key, value in schema.items():
        if key in BY_NAME and isinstance(value, dict):
            result[key] = {name: plain(each, depth + 1) for name, each in value.items()}
        elif key in SEVERAL and isinstance(value, list):
            result[key] = [plain(each, depth + 1) for each in value]
        elif key in ONE:
            several = isinstance(value, list)
            result[key] = [plain(each, depth + 1) for each in value] if several else plain(value, depth + 1)
        elif key not in LEFT_OUT:
            result[key] = value
    said = [f"{key}: {schema[key][:LONGEST]}" for key in SAID if isinstance(schema.get(key), str)]
    if said:
        result["description"] = " ".join(filter(None, (str(schema.get("description") or ""), f"({'; '.join(said)})")))
    return result
