"""Start Claude Code in a lane: claude-<lane> [what claude takes].

It checks what would otherwise look like a hang, or bill somebody else; sets the lane's environment, and becomes
claude: arguments, input, output and exit status are claude's own. `claude-<lane> --private …` is the lane
`<lane>-private`, where there is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ..shared import overrides
from ..shared.output import EX_CONFIG, EX_USAGE, ask, fail, say
from ..shared.variables import conflicts
from . import abilities, attended, config_dir, probes, stopped
from .backends_env import with_lanes
from .keys import key_of
from .records import lane_named, read_records, require_user

# With these a -p run ends when it has answered: a command in the background, or a schedule, would hold it.
ENDING = {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1", "CLAUDE_CODE_DISABLE_CRON": "1"}


HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
JUDGED = "hooks.Stop"  # in the settings of lanes whose answers are judged


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
    there = cache(lambda: probes.answering(lane))
    variables = ready(name, lane, records, arguments, there)
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    if interactive:
        say(f"this bills {lane['billed']}")
        for words in how(lane, arguments):
            say(words)
    whole = [*records["flags"], *_unread(lane, variables), *arguments]
    headless = attended.is_headless(whole)
    run = begun(lane, records, variables, headless=headless)
    if interactive and not headless and _is_allowed(lane, there):
        variables[HEADERS] += "\nx-signalbox-billed: yes"
    if attended.wanted(whole, may_be_told=bool(run.audit) or JUDGED in lane["settings"]):
        attended.begin(name, run, records["claude"], whole, variables)
    become(records["claude"], whole, variables)


def begun(
    lane: dict[str, Any], records: dict[str, Any], variables: dict[str, str], *, headless: bool = True
) -> attended.Run:
    """Return this start; the gateway, and what judges a -p run's end, know it by what is put into `variables`."""
    run = attended.Run(os.urandom(16).hex(), records["audit"] if lane.get("instead") else "")
    if headless:
        variables[stopped.RUN] = run.ident
    if lane["via"] == "gateway":
        variables[HEADERS] += f"\nx-signalbox-run: {run.ident}"
    return run


def _is_allowed(lane: dict[str, Any], there: probes.There) -> bool:
    """Ask, where the lane asks first and nobody has its main model now, whether who would answer may bill for it."""
    following = lane.get("instead", ())
    if not lane.get("asks") or not following or not following[0]["billed"] or not probes.is_silent(lane, there):
        return False
    ask(f"let {following[0]['model']} answer in this session, billed to {following[0]['billed']}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# What becomes an image in a conversation: a server whose model sees none refuses every later turn of it.
SEEN = ("png", "jpg", "jpeg", "gif", "webp", "pdf")


def _unread(lane: dict[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Return what keeps Claude Code from reading images that a direct lane's server would refuse from then on.

    And say of a model that takes no tools what it is good for, before anybody is asked in its place.
    """
    able = abilities.abilities(lane, variables.get(lane["key_variable"] or ""))
    if not able.tools:
        say(abilities.without_tools(lane))
    sees = able.images
    if lane["via"] != "direct" or (sees and (lane.get("sight") or {}).get("in_results", True)):
        return []
    if sys.stdin.isatty() and sys.stderr.isatty():
        model, way = lane["models"]["main"], "takes it out; through the gateway it is left out for you"
        if sees:
            say(f"the server of {model} takes no images from tools: none is read here; paste it")
        else:
            say(f"{model} sees no images: none is read here, and one that you paste is refused until /rewind {way}")
    return [f"--disallowedTools={','.join(f'Read(*.{each})' for each in SEEN)}"]


# What a permission mode means, where nothing that follows on the screen tells it.
MODES = {
    "default": "it asks before it acts",
    "acceptEdits": "it edits files unasked, and asks before anything else",
    "plan": "it plans, and changes nothing",
    "auto": "it judges by itself what is safe: for each call that may not be, the session's model is asked up to four "
    "times more, with all that was said, and each is billed",
    "bypass": "it runs anything unasked, with all that this user may do",
}
LEAN = "lean prompt: no web, schedules, worktrees or workflows, no bundled skills, no git instructions"


def how(lane: Mapping[str, Any], arguments: Sequence[str] = ()) -> Iterator[str]:
    """Yield what the lane decides of a session, and which setting would have it otherwise."""
    mode = lane["permission_mode"]
    asked = any(each.partition("=")[0] == "--permission-mode" for each in arguments)
    if other := config_dir.other_mode(lane):
        yield f"{other[0]}: permissions.defaultMode is {other[1]}, not the lane's {mode}"
    elif not asked:
        yield f"{MODES[mode]} (permission_mode {mode})"
    if silence := lane["environment"].get("API_TIMEOUT_MS"):
        yield f"an answer has {int(silence) // 1000} s to begin (gateway.stream_timeout_seconds)"
    if lane.get("prompt") == "lean":
        yield f'{LEAN} (prompt = "full" has them)'


def ready(
    name: str,
    lane: dict[str, Any],
    records: dict[str, Any],
    arguments: Sequence[str] = (),
    there: probes.There | None = None,
) -> dict[str, str]:
    """Return claude's whole environment in the lane, once all of it is proven; end with the reasons otherwise.

    there: whether its servers answer, for whoever wants to know that again.
    """
    prove(lane, records, arguments)
    if not lane.get("available", True):
        fail(EX_CONFIG, f"{name} is marked as not available in ~/.claude-backends.env")
    key = key_of(lane)
    probes.check(name, lane, records["gateway"], key)
    headless = attended.is_headless(arguments)
    interactive = sys.stdin.isatty() and not headless
    lane = probes.fitted(lane, key, records["gateway"], interactive=interactive, there=there)
    config_dir.prepare(lane, key)
    return {**environment(name, lane, key, records), **(ENDING if headless else {})}


def prove(lane: dict[str, Any], records: dict[str, Any], arguments: Sequence[str] = ()) -> None:
    """End, naming each source that would decide in the lane's place; name those that were put out of action."""
    found = list(overrides.of_lane(lane, records, arguments))
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
    others = overrides.put_by_lanes(records, base)
    inherited = {each: value for each, value in base.items() if not conflicts(each) and each not in others}
    if inherited.get(overrides.EFFORT) in overrides.TOO_HIGH:
        del inherited[overrides.EFFORT]
    variables = {**inherited, **lane["environment"], "SIGNALBOX_LANE": name}
    if lane["key_variable"]:
        # A server that asks for no key gets a word: without any, Claude Code would ask to log in.
        variables[lane["key_variable"]] = key or "none"
    if lane["via"] != "first-party":
        # A company's proxy must not see what stays on this host or its network. Of the two Claude Code reads no_proxy.
        host = urlsplit(lane["goes_to"]).hostname or ""
        named = ",".join((base.get("no_proxy", ""), base.get("NO_PROXY", ""), host))
        direct = ",".join(dict.fromkeys(filter(None, named.split(","))))
        variables |= {"NO_PROXY": direct, "no_proxy": direct}
    return variables


def become(program: str, arguments: list[str], variables: dict[str, str]) -> NoReturn:
    """Run `program` in place of this one."""
    try:
        os.execve(program, [program, *arguments], variables)  # noqa: S606 (no shell is the point)
    except OSError as error:
        fail(EX_CONFIG, f"Claude Code cannot be started from {program} ({error.strerror}); run the deploy again")
