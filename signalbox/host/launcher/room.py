"""Keeps a session from a model that has no room for its lane's prompt: nothing could be summarised there, ever.

Claude Code runs it before it goes to another model, with JSON on stdin (its hook PreModelSwitch), and shows the reason.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..shared import within
from ..shared.model_names import name_of
from ..shared.output import hand_over
from .records import read_records

SWITCH = 1 << 20  # characters of what Claude Code tells of the switch
WORDS = (
    "{model} has {window} tokens of context, too little for this lane's prompt: nothing could ever be summarised there."
    " /exit, and claude-switch continue {lane} goes on in its own lane; or have its server load more (claude-doctor"
    " tells how), set context_length, and deploy"
)
NOWHERE = WORDS.replace("/exit, and claude-switch continue {lane} goes on in its own lane; or have", "Have")


def main(_: Sequence[str]) -> NoReturn:
    """Print the decision: none where there is room."""
    switch = within.object_of_stdin(SWITCH)
    records = read_records()
    lane = records["lanes"].get(os.environ.get("SIGNALBOX_LANE", ""), {})
    if switch and (why := refusal(switch, lane.get("crowded", {}))):
        decision = {"permissionDecision": "deny", "permissionDecisionReason": why}
        hand_over(json.dumps({"hookSpecificOutput": {"hookEventName": "PreModelSwitch", **decision}}))
    sys.exit(0)


def refusal(switch: Mapping[str, Any], crowded: Mapping[str, Any]) -> str | None:
    """Return why not to switch; None: it may be. crowded: models without room, each with its window and its lane."""
    asked = [each for each in (switch.get("requested_model"), switch.get("to_model")) if isinstance(each, str)]
    for each in asked:
        model = name_of(each.partition("[")[0])  # Claude Code may write a window behind it
        if model in crowded:
            lane = crowded[model]["lane"]
            return (WORDS if lane else NOWHERE).format(model=model, window=crowded[model]["window"], lane=lane)
    return None
