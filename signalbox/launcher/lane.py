"""Start Claude Code in a lane: claude-<lane> [what claude takes].

It checks what would otherwise look like a hang, or bill somebody else; sets the lane's environment, and becomes
claude: arguments, input, output and exit status are claude's own. `claude-<lane> --private …` is the lane
`<lane>-private`, where there is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from . import directory, probes, sources
from .backends_env import with_lanes
from .keys import key_of
from .records import lane_named, read_records, require_user
from .speak import EX_CONFIG, EX_USAGE, fail, say


def main(name: str, arguments: Sequence[str]) -> NoReturn:
    """Start the lane `name`, with `arguments` for claude."""
    records = read_records()
    if "--private" in arguments[:1]:
        name, arguments = f"{name}-private", arguments[1:]
        if name not in records["lanes"]:
            fail(EX_USAGE, f"there is no private lane {name}; set lanes.{name}.enabled, and deploy")
    records = with_lanes(records, name)
    lane = lane_named(records, name)
    require_user(records["user"])
    start(name, lane, records, arguments)


def start(name: str, lane: dict[str, Any], records: dict[str, Any], arguments: Sequence[str]) -> NoReturn:
    """Become Claude Code in the lane."""
    variables = ready(name, lane, records, arguments)
    if sys.stdin.isatty() and sys.stderr.isatty():
        say(f"this bills {lane['billed']}")
    become(records["claude"], [*records["flags"], *arguments], variables)


def ready(name: str, lane: dict[str, Any], records: dict[str, Any], arguments: Sequence[str] = ()) -> dict[str, str]:
    """Return claude's whole environment in the lane, once all of it is proven; end with the reasons otherwise."""
    prove(lane, records, arguments)
    if not lane.get("available", True):
        fail(EX_CONFIG, f"{name} is marked as not available in ~/.claude-backends.env")
    key = key_of(lane)
    probes.check(name, lane, records["gateway"], key)
    interactive = sys.stdin.isatty() and not {"-p", "--print"} & set(arguments)
    lane = probes.fitted(lane, key, records["gateway"], interactive=interactive)
    directory.prepare(lane, key)
    return environment(name, lane, key, records)


def prove(lane: dict[str, Any], records: dict[str, Any], arguments: Sequence[str] = ()) -> None:
    """End, naming each source that would decide in the lane's place; name those that were put out of action."""
    found = list(sources.of_lane(lane, records, arguments))
    for source in found:
        say(str(source))
    if any(source.beats for source in found):
        fail(EX_CONFIG, f"not started: it must go to {lane['goes_to']}, billed to {lane['billed']}")


def environment(
    name: str, lane: dict[str, Any], key: str | None, records: dict[str, Any], base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return claude's environment: `base` without what conflicts and what another lane has put there, with the lane's.

    Another lane's limits on tokens would cut this one's answers.
    """
    others = sources.put_by_lanes(records, base)
    inherited = {each: value for each, value in base.items() if not sources.conflicts(each) and each not in others}
    if inherited.get(sources.EFFORT) in sources.TOO_HIGH:
        del inherited[sources.EFFORT]
    variables = {**inherited, **lane["environment"], "SIGNALBOX_LANE": name}
    if lane["key_variable"]:
        # A server that asks for no key gets a word: without any, Claude Code would ask to log in.
        variables[lane["key_variable"]] = key or "none"
    if lane["via"] != "first-party":
        # A company's proxy must not see what stays on this host or its network.
        host = urlsplit(lane["goes_to"]).hostname or ""
        for each in ("NO_PROXY", "no_proxy"):
            variables[each] = ",".join(filter(None, (base.get(each), host)))
    return variables


def become(program: str, arguments: list[str], variables: dict[str, str]) -> NoReturn:
    """Run `program` in place of this one."""
    try:
        os.execve(program, [program, *arguments], variables)  # noqa: S606 (no shell is the point)
    except OSError as error:
        fail(EX_CONFIG, f"Claude Code cannot be started from {program} ({error.strerror}); run the deploy again")
