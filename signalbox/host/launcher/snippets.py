"""What to write where a lane shall hold without its command: settings.json, or VS Code's settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..shared.output import EX_USAGE, fail, say, tell_json
from .keys import key_of
from .records import Lane

USAGE = "claude-switch snippet settings|vscode LANE [--with-key]"
KINDS = ("settings", "vscode")
PROGRAM = "/usr/local/lib/signalbox/launcher/launch.py"
# Not for a file that another directory's session reads too.
LAUNCHERS_OWN = ("CLAUDE_CONFIG_DIR", "ANTHROPIC_CONFIG_DIR")


def main(lanes: Mapping[str, Lane], arguments: Sequence[str]) -> NoReturn:
    """Print a snippet on stdout; the key is in it only when it is asked for."""
    words = [each for each in arguments if each != "--with-key"]
    if len(words) != 2 or words[0] not in KINDS:
        fail(EX_USAGE, USAGE)
    kind, name = words
    if name not in lanes:
        fail(EX_USAGE, f"no lane is called {name!r}; there are {', '.join(lanes)}")
    lane = lanes[name]
    variables = {k: v for k, v in lane["environment"].items() if kind == "vscode" or k not in LAUNCHERS_OWN}
    told = "--with-key" in arguments or not lane["key_variable"]  # a lane with a login of its own has no key to tell
    if lane["key_variable"] and told:
        variables[lane["key_variable"]] = key_of(lane) or "none"
    if kind == "settings":
        say("for the settings.json of a project; the lane's own claude-LANE refuses to start beside it")
        helper = {} if told else {"apiKeyHelper": f"{PROGRAM} key {name}"}
        tell_json({"env": variables, **helper})
    else:
        say("for VS Code's settings.json, where it runs Claude Code on this host; a shell's variables do not reach it")
        if not told:
            variables[lane["key_variable"]] = f"<what `{PROGRAM} key {name}` prints>"
        pairs = [{"name": variable, "value": value} for variable, value in variables.items()]
        tell_json({"claudeCode.environmentVariables": pairs})
    sys.exit(0)
