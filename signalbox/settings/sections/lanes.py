"""Records of `lanes`: one way each to run Claude Code."""

from __future__ import annotations

from typing import Annotated, Literal

from signalbox.fields.checks import checked
from signalbox.fields.models import Effort, ModelName, Words
from signalbox.fields.paths import ConfigDir
from signalbox.fields.secrets import secret_name
from signalbox.fields.section import Section

Slot = Literal["main", "opus", "sonnet", "haiku", "fable", "subagent"]


def _credential(value: str) -> str:
    return value if value in {"gateway", "none"} else secret_name(value)


class Lane(Section):
    """One way to run Claude Code, started by `claude-<name>`; `models` maps slots to models of the gateway."""

    name: str
    enabled: bool
    via: Literal["gateway", "direct", "first-party"]
    models: dict[Slot, ModelName]
    config_dir: ConfigDir | None
    credential: Annotated[str, checked(_credential)]
    billed: Words | None
    private: bool
    fallbacks: Literal["all", "clouds", "ask", "none"]
    effort: Effort
    permission_mode: Literal["default", "acceptEdits", "plan", "auto", "bypass"]
    prompt: Literal["lean", "full"] | None
