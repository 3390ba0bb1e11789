"""claude-switch allow: a session's model may be stood in for by one that bills, in a lane with fallbacks = "ask"."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn
from urllib.error import HTTPError

from ..shared.output import EX_UNAVAILABLE, EX_USAGE, fail, say
from . import probes
from .keys import key_of

USAGE = """\
claude-switch allow [SESSION]

From now on, whoever follows the model of this session may answer in its place, and bill for it. Without SESSION: the
session that this is typed in, behind a !. The gateway's refusal tells its id."""
PATH = "/signalbox/allow"


def main(records: dict[str, Any], arguments: Sequence[str]) -> NoReturn:
    """Tell the gateway."""
    session = arguments[0] if arguments else os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    if len(arguments) > 1 or not re.fullmatch(r"[0-9a-f-]{36}", session):
        fail(EX_USAGE, USAGE)
    lane = next((each for each in records["lanes"].values() if each["via"] == "gateway"), None)
    if lane is None:
        fail(EX_USAGE, "no lane of this host goes through the gateway")
    headers = {"Authorization": f"Bearer {key_of(lane)}", "content-type": "application/json"}
    try:
        probes.ask(f"{records['gateway']['url']}{PATH}", headers, body={"session": session})
    except HTTPError as error:
        fail(EX_UNAVAILABLE, f"the gateway refuses it ({error.code}); run the deploy again")
    except (OSError, ValueError) as error:
        fail(EX_UNAVAILABLE, f"the gateway does not answer ({getattr(error, 'reason', error)}); claude-doctor says why")
    say(f"session {session} may be billed in its model's place; ask again")
    sys.exit(0)
