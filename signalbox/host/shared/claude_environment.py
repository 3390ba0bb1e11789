"""The variables by which Claude Code is told of a lane: where it goes, with which models, and what it leaves. Pure.

Every lane gets them from here: those of settings, those of ~/.claude-backends.env, and a model server that is
certified. Measured with Claude Code 2.1.329; https://code.claude.com/docs/en/env-vars
"""

from __future__ import annotations

from collections.abc import Mapping

Variables = dict[str, str]

OF_A_SLOT = {
    "main": "ANTHROPIC_MODEL",
    "opus": "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "sonnet": "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "haiku": "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "fable": "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "subagent": "CLAUDE_CODE_SUBAGENT_MODEL",
}
SLOTS = ("main", "opus", "sonnet", "haiku", "fable")  # those that Claude Code always asks for; the other is optional
QUIET = {
    # Without it Claude Code asks its vendor what there is in the way of MCP servers, and more.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Without it the first session at a terminal fetches its vendor's plugins, from there or from GitHub.
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
}
# What a model server cannot take, or would have to read anew: system messages in mid-conversation, which many chat
# templates refuse and some servers' roles do not know, and a count of tokens that changes at each turn.
OF_A_SERVER = {"CLAUDE_CODE_MODEL_CAPABILITIES": "*=-mid_conv_system", "CLAUDE_CODE_TOTAL_TOKENS_REMINDER": "off"}
# A header in the system prompt that differs in each request defeats a server's prompt cache.
NO_ATTRIBUTION = {"CLAUDE_CODE_ATTRIBUTION_HEADER": "0"}


def of_a_directory(directory: str) -> Variables:
    """Return what every lane has: a configuration directory of its own, and the pinned version, which stays."""
    return {
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_UPDATES": "1",
        "CLAUDE_CONFIG_DIR": directory,
        # Where a login of Anthropic's other tools would be found: not a lane's business.
        "ANTHROPIC_CONFIG_DIR": f"{directory}/anthropic",
    }


def of_models(models: Mapping[str, str], label: str) -> Variables:
    """Return which models are asked for, by slot, each as its server knows it. label: of the main one, for people."""
    return {
        # Nobody but Anthropic takes every beta; one that is refused reads as "model may not exist".
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        **{OF_A_SLOT[slot]: model for slot, model in models.items()},
        # What "Default" in /model leads to; Claude Code has a default of its own otherwise.
        "ANTHROPIC_DEFAULT_MODEL": models["main"],
        # For where Claude Code lists its own models in /model: a person may have said so.
        "ANTHROPIC_CUSTOM_MODEL_OPTION": models["main"],
        "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME": label,
    }


def of_a_window(context: int, output: int) -> Variables:
    """Return what is to be known of a main model that Claude Code does not know; both in tokens."""
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(context),
        # It takes a model that it does not know for one that has 1M tokens, too, and then never compacts.
        "CLAUDE_CODE_DISABLE_1M_CONTEXT": "1",
        # Its default of 32000 would not fit beside the prompt.
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(output),
        **NO_ATTRIBUTION,
    }


def of_patience(seconds: int) -> Variables:
    """Return how long Claude Code itself waits for a server that says nothing, where no gateway bounds it."""
    silence = str(seconds * 1000)
    return {
        "API_TIMEOUT_MS": silence,  # until an answer begins
        # Between two pieces of it: of bytes, 10 s at the least, and of events, 300 s at the least.
        "CLAUDE_ENABLE_BYTE_WATCHDOG": "1",
        "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": silence,
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": silence,
        "CLAUDE_CODE_MAX_RETRIES": "3",  # it tries ten times by itself, and says nothing meanwhile
    }


def of_one_server(
    url: str, directory: str, model: str, label: str, *, window: tuple[int, int] | None, patience: int
) -> Variables:
    """Return all of a lane that goes straight to a server with one model.

    window: context and longest answer in tokens; None: nobody has said. patience: seconds, as of `of_patience`.
    """
    return {
        **of_a_directory(directory),
        "ANTHROPIC_BASE_URL": url,
        **of_models(dict.fromkeys(SLOTS, model), label),
        **OF_A_SERVER,
        **(of_a_window(*window) if window else NO_ATTRIBUTION),
        **of_patience(patience),
        **QUIET,
    }
