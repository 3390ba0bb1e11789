"""WebSearch for models that cannot: what LiteLLM gets, and what is refused as before.

A SearXNG answers JSON only where it is told to, and its limiter takes a program for a bot: searxng/searxng #3749, #4856
and #3651, searxng/searxng-docker #326, open-webui/open-webui #2824, langchain-ai/langchain #2251,
Eigenwise/atomic-agents #82, searx/searx #1287.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import requests

from signalbox.desired import gateway_config
from signalbox.desired.addresses import names_for_the_gateway, of_backends
from signalbox.desired.gateway_container import _names
from signalbox.desired.routing import routing_table
from signalbox.settings import Settings
from tests.good_settings import layers, routed
from tests.lab.simulators import Running, running
from tests.lab.simulators.personalities.searxng import FOUND, URL
from tests.unit.gateway_plugins import BadRequestError
from tests.unit.gateway_plugins import plugins as plugins

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
SEARXNG = {"gateway": {"web_search": {"kind": "searxng", "url": "http://search.lan:8080"}}}


def asked(plugins: Any, *tools: Any, text: Any = "x", **info: Any) -> Any:
    kwargs = {"model": "m", "tools": list(tools), "messages": [{"role": "user", "content": text}]}
    info = {"id": "lmstudio/local", "probe_url": "http://x", **info}
    hook = plugins.failover.plugin.async_pre_call_deployment_hook({**kwargs, "model_info": info}, None)
    return asyncio.run(hook)


@pytest.mark.parametrize("words", ["Perform a web search for the query: lighthouse", "lighthouse", " lighthouse\n"])
@pytest.mark.parametrize("as_blocks", [True, False])
def test_a_search_is_for_the_query_alone(plugins: Any, words: str, as_blocks: bool) -> None:
    text = [{"type": "text", "text": words}] if as_blocks else words
    given = asked(plugins, SEARCH, text=text, searches="searxng")
    assert given["messages"] == [{"role": "user", "content": "lighthouse"}]
    assert given["tools"] == [SEARCH]  # as LiteLLM's own interception knows it


def test_what_no_search_alone_answers_is_refused_and_made_up_by_nobody(plugins: Any) -> None:
    mine = {"name": "Bash", "input_schema": {}}
    for tools, text, info in (
        ([SEARCH], "x", {}),
        ([SEARCH, mine], "x", {"searches": "searxng"}),
        ([SEARCH], "  ", {"searches": "searxng"}),
    ):
        with pytest.raises(BadRequestError, match="cannot search the web"):
            asked(plugins, *tools, text=text, **info)
    assert asked(plugins, SEARCH, claude=True, probe_url=None) is None  # a Claude searches itself


def test_litellm_is_told_who_searches_and_for_whom() -> None:
    config = gateway_config.litellm_config(
        *routed(Settings.from_layers(layers(SEARXNG), host="box")),
    )
    infos = {entry["model_name"]: entry["model_info"] for entry in config["model_list"]}
    assert infos["local"]["searches"] == "searxng"
    assert not any("searches" in info for info in infos.values() if info.get("claude"))
    assert config["litellm_settings"]["callbacks"][-1] == "websearch_interception"  # behind ours
    (tool,) = config["search_tools"]
    assert tool["litellm_params"] == {"search_provider": "searxng", "api_base": "http://search.lan:8080"}
    params = config["litellm_settings"]["websearch_interception_params"]
    assert params == {"enabled_providers": ["lm_studio"], "search_tool_name": tool["search_tool_name"]}


def test_without_a_search_litellm_is_told_nothing() -> None:
    config = gateway_config.litellm_config(*routed(Settings.from_layers(layers(), host="box")))
    assert "search" not in str(config)


def test_it_is_looked_for_and_let_out_as_a_model_server_is() -> None:
    settings = Settings.from_layers(layers(SEARXNG), host="box")
    assert "search.lan:8080" in of_backends(settings)
    assert names_for_the_gateway(settings) == ("search.lan",)
    assert "search.lan" in _names(gateway_config.container(settings, routing_table(settings)))
    off = Settings.from_layers(layers(), host="box")
    assert names_for_the_gateway(off) == ()


def test_the_simulated_one_is_as_strict_as_it_is(tmp_path: Path) -> None:
    with running(tmp_path) as simulators:
        strict(simulators)


def strict(simulators: Running) -> None:
    def ask(**query: str) -> requests.Response:
        return requests.get(f"{simulators.searxng}/search", params=query, timeout=5)

    found = ask(q="lighthouse", format="json").json()
    assert (found["query"], found["results"][0]["content"], found["results"][0]["url"]) == ("lighthouse", FOUND, URL)
    assert ask(q="lighthouse").text.startswith("<!DOCTYPE html>")
    assert (ask(format="json").status_code, ask(format="json").json()) == (400, {"error": "No query"})
    simulators.control.options("searxng", formats=["html"])
    assert ask(q="lighthouse", format="json").status_code == 403
    simulators.control.options("searxng", formats=["html", "json"], limiter=True)
    assert ask(q="lighthouse", format="json").status_code == 429
    assert requests.get(simulators.searxng, timeout=5).status_code == 404
    simulators.control.clear()
