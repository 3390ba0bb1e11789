"""Tools' schemas as a server can take them that makes a grammar of them; the reports are named in tool_schemas.py."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway_plugins import plugins as plugins

LOCAL = {"probe_url": "http://x", "id": "lmstudio/local"}


def tool(schema: Any) -> dict[str, Any]:
    return {"name": "t", "description": "d", "input_schema": schema}


def plained(plugins: Any, **properties: Any) -> Any:
    mended = plugins.request_rewriting.rewritten({"tools": [tool({"type": "object", "properties": properties})]}, LOCAL)
    return mended and mended["tools"][0]["input_schema"]["properties"]


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        # z.string().email() of zod 4: github.com/codefuturist/email-mcp/issues/58
        ({"type": "string", "format": "email", "pattern": "^(?!\\.)x$"},
         {"type": "string", "description": "(pattern: ^(?!\\.)x$; format: email)"}),
        # unanchored: ggml-org/llama.cpp/issues/26930, lmstudio-ai/lmstudio-bug-tracker/issues/2168
        ({"type": "string", "pattern": "\\S", "description": "a key"},
         {"type": "string", "description": "a key (pattern: \\S)"}),
        # below items: ggml-org/llama.cpp/issues/25895
        ({"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "pattern": "^(\\d+|x)$"}},
         {"type": "array", "items": {"type": "string", "description": "(pattern: ^(\\d+|x)$)"}}),
        # ten thousand characters: firecrawl/firecrawl/issues/4512, ggml-org/llama.cpp/issues/25746
        ({"anyOf": [{"type": "string", "maxLength": 10000}, {"type": "null"}]},
         {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        # z.never()
        ({"type": "object", "additionalProperties": {"not": {}}}, {"type": "object", "additionalProperties": {}}),
        ({"$ref": "https://example.org/x.json"}, {}),
    ],
)  # fmt: skip
def test_what_no_grammar_can_be_made_of_is_left_out_and_told(plugins: Any, schema: Any, wanted: Any) -> None:
    assert plained(plugins, key=schema) == {"key": wanted}


def test_a_property_may_have_the_name_of_a_keyword(plugins: Any) -> None:
    properties = {"pattern": {"type": "string"}, "format": {"type": "string"}, "not": {"type": "boolean"}}
    assert plained(plugins, **properties) is None  # as Grep's own `pattern`
    assert set(plained(plugins, **properties, x={"pattern": "a"})) == {*properties, "x"}


def test_the_audit_tells_it_and_a_cloud_gets_them_as_they_are(plugins: Any) -> None:
    tools = [tool({"type": "object", "properties": {"a": {"type": "string", "pattern": "a"}}})]
    request = plugins.request_record.Request({"headers": []})
    plugins.request_record._current.set(request)
    try:
        assert plugins.request_rewriting.rewritten({"tools": tools}, {"claude": True, "id": "anthropic/x"}) is None
        assert request.line()["mended"] == []
        assert plugins.request_rewriting.rewritten({"tools": tools}, LOCAL)
        assert request.line()["mended"] == ["schemas"]
    finally:
        plugins.request_record._current.set(None)


def test_openais_tools_too(plugins: Any) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string", "pattern": "a"}}}
    given = {"tools": [{"type": "function", "function": {"name": "t", "parameters": parameters}}]}
    told = plugins.request_rewriting.rewritten(given, LOCAL)["tools"][0]["function"]
    assert told["parameters"]["properties"]["a"] == {"type": "string", "description": "(pattern: a)"}


def test_the_prompt_begins_as_the_last_one_did(plugins: Any) -> None:
    header = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329.23d; cc_entrypoint=cli;"}
    prompt = {"type": "text", "text": "You are Claude Code."}
    assert plugins.request_rewriting.rewritten({"system": [header, prompt]}, LOCAL)["system"] == [prompt]
    assert plugins.request_rewriting.rewritten({"system": [header, prompt]}, {"claude": True}) is None
    assert plugins.request_rewriting.rewritten({"system": "text"}, LOCAL) is None


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "properties",
                    "items",
                    "anyOf",
                    "pattern",
                    "format",
                    "$ref",
                    "type",
                    "not",
                    "description",
                    "$defs",
                    "x",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_whatever_a_schema_is_it_is_taken_and_stays_plain(plugins_once: Any, schema: Any) -> None:
    before = copy.deepcopy(schema)
    plain = plugins_once.tool_schemas.plain(schema)
    assert schema == before
    assert plugins_once.tool_schemas.plain(plain) == plain
    json.dumps(plain)


@pytest.fixture(scope="module")
def plugins_once(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.unit.gateway_plugins import loaded

    with pytest.MonkeyPatch.context() as patch, loaded(patch, tmp_path_factory.mktemp("audit")) as modules:
        yield modules


def test_one_that_is_nested_without_end_ends(plugins: Any) -> None:
    schema: Any = {"type": "string", "pattern": "a"}
    for _ in range(900):
        schema = {"type": "array", "items": schema}
    told = json.dumps(plugins.tool_schemas.plain(schema))
    assert "pattern" not in told
    assert told.count("items") < 50
