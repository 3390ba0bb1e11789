"""Names of models as the settings have them, and as LiteLLM lists those without "claude" in them to Claude Code."""

from __future__ import annotations

LISTED = "claude-router-"  # before the name in hexadecimal


def name_of(model: str) -> str:
    """Return a model's name in the settings, by that or by how it is listed."""
    try:
        return bytes.fromhex(model.removeprefix(LISTED)).decode() if model.startswith(LISTED) else model
    except ValueError:
        return model
