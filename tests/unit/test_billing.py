"""Who pays for a lane, in words that follow from models and fallbacks."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.desired.billing import billed, instead
from signalbox.desired.routing import routing_table
from signalbox.settings import Settings
from tests.good_settings import layers

API, AZURE = "the Claude API account of ANTHROPIC_DIRECT_KEY", "the Azure subscription of FOUNDRY_API_KEY"
FOUNDRY = {
    "clouds": {
        "foundry": {
            "enabled": True,
            "resource": "mine",
            "models": {"foundry-claude-opus-4-8": {"id": "mine", "aliases": ["foundry-opus"]}},
        }
    }
}


@pytest.mark.parametrize(
    ("lane", "data", "words"),
    [
        ("routed", {}, f"{API}; background work is free unless the local server fails: then the same"),
        ("routed", {"gateway": {"fallbacks": {"local": []}}}, f"{API}; background work is local and free"),
        ("routed", FOUNDRY | {"gateway": {"fallbacks": {"local": ["foundry-opus"]}}},
         f"{API}; background work is free unless the local server fails: then {AZURE}"),
        ("routed", {"lanes": {"routed": {"fallbacks": "none"}}}, f"{API}; background work is local and free"),
        ("local", {}, f"nobody, unless the local server fails: then {API}"),
        ("local", {"gateway": {"fallbacks": {"local": []}}}, "nobody"),
        ("local", {"lanes": {"local": {"fallbacks": "none"}}}, "nobody"),
        ("local-private", {}, "nobody; nothing leaves your network"),
        ("cloud", {}, API),
        ("cloud", FOUNDRY | {"lanes": {"cloud": {"models": {"opus": "foundry-opus"}}}}, f"{API} and {AZURE}"),
        ("cloud", FOUNDRY | {"gateway": {"fallbacks": {"claude-sonnet-4-6": ["foundry-opus"]}}},
         f"{API}; when that fails, {AZURE}"),
        ("local", FOUNDRY | {"gateway": {"quota_fallbacks": {"local": ["foundry-opus"]}}},
         f"nobody, unless the local server fails: then {AZURE} or {API}"),
        ("api", {"lanes": {"api": {"enabled": True}}}, API),
        ("api", {"lanes": {"api": {"enabled": True, "credential": "none"}}},
         "the account that has logged in in ~/.claude-api"),
        ("local", {"lanes": {"local": {"billed": "my employer"}}},
         f"nobody, unless the local server fails: then {API} (my employer)"),
        ("cloud", {"lanes": {"cloud": {"billed": API}}}, API),
    ],
)  # fmt: skip
def test_who_pays(lane: str, data: dict[str, Any], words: str) -> None:
    settings = Settings.from_layers(layers(data), host="box1")
    assert billed(settings, routing_table(settings), settings.lanes[lane]) == words


@pytest.mark.parametrize(
    ("lane", "data", "after"),
    [
        ("local", {}, [("claude-haiku-4-5", "anthropic", API)]),
        ("local", {"lanes": {"local": {"fallbacks": "none"}}}, []),
        ("local-private", {}, []),
        ("cloud", FOUNDRY | {"gateway": {"fallbacks": {"claude-sonnet": ["local", "foundry-opus"]}}},
         [("foundry-claude-opus-4-8", "foundry", AZURE)]),
        ("routed", {"gateway": {"fallbacks": {"claude-sonnet-4-6": ["local"]}}}, [("local", "lmstudio", None)]),
        ("routed", {"gateway": {"quota_fallbacks": {"claude-sonnet-4-6": ["local"]}}}, []),
    ],
)  # fmt: skip
def test_who_answers_instead(lane: str, data: dict[str, Any], after: list[tuple[str, str, str | None]]) -> None:
    settings = Settings.from_layers(layers(data), host="box1")
    assert [
        (each["model"], each["at"], each["billed"]) for each in instead(routing_table(settings), settings.lanes[lane])
    ] == after
