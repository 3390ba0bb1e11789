"""From settings to what stands in Claude Code's own settings in a lane's directory, and to a lean prompt. Pure.

Measured with Claude Code 2.1.329; https://code.claude.com/docs/en/settings-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.backends.records import Backend
from signalbox.desired.billing import accounts
from signalbox.desired.routing import Deployment, window
from signalbox.host.shared.context import LEAN as LEAN_OPENING
from signalbox.host.shared.context import OPENING
from signalbox.settings import Settings
from signalbox.settings.sections.lanes import Lane

Choices = list[tuple[str, tuple[Deployment, ...]]]  # a model's name, and who has it

MODES = {  # as Claude Code calls them
    "default": "default",
    "acceptEdits": "acceptEdits",
    "plan": "plan",
    "auto": "auto",
    "bypass": "bypassPermissions",
}
LEAN = {f"CLAUDE_CODE_DISABLE_{name}": "1" for name in ("WORKFLOWS", "BUNDLED_SKILLS", "GIT_INSTRUCTIONS", "CRON")}
# The one asks its vendor about each host first, the other is a server's tool of Claude's.
WEB = ("WebFetch", "WebSearch")
# The descriptions of these take more than half of a first request.
LEFT_OUT = (
    "CronCreate", "CronDelete", "CronList", "DesignSync", "EnterPlanMode", "EnterWorktree", "ExitWorktree",
    "ListAgents", "Monitor", "ReportFindings", "ScheduleWakeup", "SendMessage", *WEB, "Workflow",
)  # fmt: skip


def claude_settings(
    settings: Settings, lane: Lane, *, lean: bool, program: str, choices: Choices, crowded: Mapping[str, Any]
) -> dict[str, Any]:
    """Return keys of settings.json with their values; a dot leads into an object, as in `permissions.defaultMode`.

    program: the launcher, whose commands Claude Code runs. choices: the models for /model, the lane's own first, each
    as it is asked for, with who has it.
    """
    denied: tuple[str, ...] = LEFT_OUT if lean else WEB if lane.private else ()
    if settings.gateway.web_search and lane.via == "gateway" and not lane.private:
        denied = tuple(each for each in denied if each != "WebSearch")
    return {
        "cleanupPeriodDays": settings.sessions.keep_days,
        "permissions.defaultMode": MODES[lane.permission_mode],
        "permissions.deny": list(denied),
        # Anew every so many seconds too: while nobody answers, Claude Code repeats the request in silence.
        "statusLine": {"type": "command", "command": f"{program} statusline", "refreshInterval": 10},
        **(judged(program) if choices and isinstance(choices[0][1][0].record, Backend) else {}),
        # Without it a session starts in auto mode, whatever else is said.
        **({"disableAutoMode": "disable"} if lane.permission_mode != "auto" else {}),
        # The lane's setting is the answer to what Claude Code would ask at each start.
        **({"skipDangerousModePermissionPrompt": True} if lane.permission_mode == "bypass" else {}),
        # Refused with words where the choice is made.
        **({"hooks.PreModelSwitch": [{"hooks": [_hook(f"{program} room")]}]} if crowded else {}),
        **({"modelPicker": _picker(choices, LEAN_OPENING if lean else OPENING)} if choices else {}),
    }


def _hook(command: str) -> dict[str, Any]:
    return {"type": "command", "command": command, "timeout": 10}


def judged(program: str) -> dict[str, Any]:
    """Return what has the answers of a model on one's own server judged where a turn ends; see launcher/stopped.py."""
    hook = {"hooks": [_hook(f"{program} stopped")]}
    return {"hooks.Stop": [hook], "hooks.SubagentStop": [hook]}


def has_room(several: tuple[Deployment, ...], *, lean: bool) -> bool:
    """Return whether a model has room for the prompt that a session opens with: else nothing is ever compacted."""
    least = window(several)
    return least is None or least >= (LEAN_OPENING if lean else OPENING)


def _picker(choices: Choices, opening: int) -> dict[str, Any]:
    options = [{"model": asked, "description": _described(several, opening)} for asked, several in choices]
    return {"options": options, "replaceBuiltInOptions": True}


def _described(several: tuple[Deployment, ...], opening: int) -> str:
    """Say whose a model is, its window where Claude Code does not know it by itself, and what it costs.

    opening: tokens of the prompt that a session of the lane opens with; without room for it nothing is ever compacted.
    """
    record, _ = several[0]
    others = f" and {len(several) - 1} more" if len(several) > 1 else ""
    least = window(several)
    room = "" if least is None or least >= opening else ", too little for this lane's prompt"
    words = [f"{record.name}{others}", *([f"context {least}{room}"] if least else [])]
    payers = accounts(several)
    return " \u00b7 ".join([*words, f"bills {' and '.join(payers)}" if payers else "free"])
