"""What the model of a lane takes, by its server's own word: images, tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..shared import context
from . import probes


@dataclass(frozen=True)
class Abilities:
    """What the lane's main model takes, as far as its server tells."""

    images: bool = True
    tools: bool = True


def abilities(lane: dict[str, Any], key: str | None) -> Abilities:
    """Return what the server of the lane's main model tells of it. key: of a direct lane's server."""
    sight = lane.get("sight")
    if not sight:
        return Abilities()
    headers = {"Authorization": f"Bearer {key}"} if key and lane["via"] == "direct" else {}
    if sight["body"] is not None:
        headers["content-type"] = "application/json"
    try:
        told = probes.ask(sight["url"], headers, 1, body=sight["body"])
    except (OSError, ValueError):
        return Abilities()
    return Abilities(context.sees(told, sight) is not False, context.takes_tools(told, sight) is not False)


def without_tools(lane: dict[str, Any]) -> str:
    """Return what to say of a lane whose main model takes no tools."""
    model, instead = lane["models"]["main"], f"; {probes.instead(lane)}" if lane["via"] == "gateway" else ""
    return f"{model} takes no tools, by its server's own word: Claude Code does nothing with it{instead}"
