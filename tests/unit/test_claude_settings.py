"""What a lane's settings say, as Claude Code reads it."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.settings import Settings
from signalbox.settings.problems import SettingsError
from tests.good_settings import layers

CLOUD = "anthropic \u00b7 bills the Claude API account of ANTHROPIC_DIRECT_KEY"
BOX = {"kind": "lm_studio", "url": "http://192.168.1.21:1234"}


def lane(name: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    settings = Settings.from_layers(layers(data or {}), host="box1")
    found: dict[str, Any] = lane_records(settings, routing_table(settings))["lanes"][name]
    return found


def menu(name: str, data: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    picker = lane(name, data)["settings"]["modelPicker"]
    assert picker["replaceBuiltInOptions"]
    return [(each["model"], each["description"]) for each in picker["options"]]


def test_the_menu_has_each_model_once_and_the_lanes_own_first() -> None:
    local = ("local", "lmstudio \u00b7 context 32768 \u00b7 free")
    claudes = [(f"claude-{each}", CLOUD) for each in ("sonnet-4-6", "opus-4-8", "haiku-4-5")]
    assert menu("local") == [local, *claudes]
    # Measured with 2.1.329: a lean prompt has room in that window, and one of 38000 tokens has none.
    assert menu("cloud") == [
        *claudes,
        ("local", "lmstudio \u00b7 context 32768, too little for this lane's prompt \u00b7 free"),
    ]
    roomy = {"backends": {"lmstudio": {"models": {"local": {"context_length": 65536}}}}}
    assert menu("cloud", roomy)[-1] == ("local", "lmstudio \u00b7 context 65536 \u00b7 free")


def test_a_private_lanes_menu_has_what_its_server_calls_the_model() -> None:
    assert [model for model, _ in menu("local-private")] == ["qwen/qwen3.6-35b-a3b"]


def test_a_model_of_two_servers_is_told_with_the_lesser_window() -> None:
    models = {"local": {"id": "x", "context_length": 65536, "order": 2}}
    assert menu("local", {"backends": {"second": {**BOX, "models": models}}})[0] == (
        "local",
        "lmstudio and 1 more \u00b7 context 32768 \u00b7 free",
    )


def test_anthropics_own_list_is_left_where_nothing_stands_between() -> None:
    assert "modelPicker" not in lane("api", {"lanes": {"api": {"enabled": True}}})["settings"]


def test_default_in_the_menu_is_the_lanes_main_model() -> None:
    assert lane("cloud")["environment"]["ANTHROPIC_DEFAULT_MODEL"] == "claude-sonnet-4-6"
    assert lane("local-private")["environment"]["ANTHROPIC_DEFAULT_MODEL"] == "qwen/qwen3.6-35b-a3b"


@pytest.mark.parametrize(
    ("name", "off"), [("local", True), ("local-private", True), ("cloud", False), ("routed", False)]
)
def test_a_window_of_a_million_is_offered_to_claudes_alone(name: str, off: bool) -> None:
    assert ("CLAUDE_CODE_DISABLE_1M_CONTEXT" in lane(name)["environment"]) == off


@pytest.mark.parametrize(
    ("name", "prompt", "lean", "web"),
    [
        ("local", None, True, True),
        ("local-private", None, True, True),
        ("cloud", None, False, False),
        ("cloud", "lean", True, True),
        ("local", "full", False, False),
        ("local-private", "full", False, True),  # it would ask its vendor about each host
    ],
)
def test_a_prompt_is_lean_where_no_claude_reads_it_unless_said_otherwise(
    name: str, prompt: str | None, lean: bool, web: bool
) -> None:
    found = lane(name, {"lanes": {name: {"prompt": prompt}}} if prompt else None)
    denied = found["settings"]["permissions.deny"]
    assert (found["prompt"] == "lean", "Workflow" in denied, "WebFetch" in denied) == (lean, lean, web)
    assert ("CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS" in found["environment"]) == lean


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("default", {"permissions.defaultMode": "default", "disableAutoMode": "disable"}),
        ("plan", {"permissions.defaultMode": "plan", "disableAutoMode": "disable"}),
        ("auto", {"permissions.defaultMode": "auto"}),
        (
            "bypass",
            {
                "permissions.defaultMode": "bypassPermissions",
                "disableAutoMode": "disable",
                "skipDangerousModePermissionPrompt": True,
            },
        ),
    ],
)
def test_a_mode_starts_without_a_question(mode: str, expected: dict[str, Any]) -> None:
    settings = lane("cloud", {"lanes": {"cloud": {"permission_mode": mode}}})["settings"]
    names = ("permissions.defaultMode", "disableAutoMode", "skipDangerousModePermissionPrompt")
    assert {name: settings[name] for name in names if name in settings} == expected


def test_transcripts_are_kept_for_so_many_days() -> None:
    assert lane("routed", {"sessions": {"keep_days": 5}})["settings"]["cleanupPeriodDays"] == 5


MISTRAL = {"enabled": True, "models": {"medium": {"id": "m", "context_length": 131072, "max_output_tokens": 8192}}}


@pytest.mark.parametrize(
    ("data", "who"),
    [
        ({"lanes": {"local": {"permission_mode": "auto"}}}, "local"),
        ({"lanes": {"routed": {"permission_mode": "auto"}}}, "local"),  # its background work
        ({"lanes": {"local-private": {"permission_mode": "auto"}}}, "local"),
        (
            {
                "lanes": {"cloud": {"permission_mode": "auto", "fallbacks": "all"}},
                "gateway": {"quota_fallbacks": {"claude-sonnet": ["local"]}},
            },
            "local",
        ),
        (
            {
                "lanes": {"cloud": {"permission_mode": "auto"}},
                "clouds": {"mistral": MISTRAL},
                "gateway": {"fallbacks": {"claude-opus-4-8": ["medium"]}},
            },
            "medium",
        ),
    ],
)
def test_auto_is_refused_where_anything_but_a_claude_may_answer(data: dict[str, Any], who: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_layers(layers(data), host="box1")
    (line,) = caught.value.lines
    assert line.endswith(
        f'permission_mode: "{who}" may answer here, and only a Claude judges calls; write "default" or "acceptEdits"'
    )


@pytest.mark.parametrize(
    "data",
    [
        {"lanes": {"cloud": {"permission_mode": "auto"}}, "gateway": {"fallbacks": {"claude-opus-4-8": ["local"]}}},
        {"lanes": {"cloud": {"permission_mode": "auto", "fallbacks": "none"}}},
        {"lanes": {"api": {"enabled": True, "permission_mode": "auto"}}},
    ],
)
def test_auto_may_be_where_only_claudes_answer(data: dict[str, Any]) -> None:
    Settings.from_layers(layers(data), host="box1")


def test_the_flag_that_skips_permissions_is_told_its_successor() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_layers(layers({"launchers": {"flags": ["--dangerously-skip-permissions"]}}), host="box1")
    assert caught.value.lines == [
        "box1: launchers.flags: holds --dangerously-skip-permissions; "
        'write permission_mode = "bypass" in the lanes that shall have it'
    ]


def test_a_search_is_offered_where_somebody_searches_and_nothing_is_private() -> None:
    def denied(name: str, data: dict[str, Any] | None = None) -> list[str]:
        return list(lane(name, data)["settings"]["permissions.deny"])

    search = {"gateway": {"web_search": {"kind": "searxng", "url": "http://192.168.1.30:8080"}}}
    assert "WebSearch" in denied("local")
    assert "WebSearch" not in denied("local", search)
    assert "WebFetch" in denied("local", search)  # which asks the vendor about each host
    assert {"WebSearch", "WebFetch"} <= {*denied("local-private", search)}


@pytest.mark.parametrize(
    ("name", "quiet", "gateway"),
    [("local", True, True), ("local-private", True, False), ("routed", False, True), ("cloud", False, True)],
)
def test_a_lane_without_a_clouds_model_asks_the_vendor_nothing(name: str, quiet: bool, gateway: bool) -> None:
    variables = lane(name)["environment"]
    assert ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" in variables) == quiet
    assert ("DISABLE_TELEMETRY" in variables) == gateway
