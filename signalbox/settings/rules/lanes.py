"""Rules of lanes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from signalbox import backends
from signalbox.backends.records import Backend, Cloud
from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.messages import nearest, show
from signalbox.host.shared.claude_environment import SLOTS
from signalbox.settings.layers import Path
from signalbox.settings.models import asked_and_following, is_claude, known_models, taken_for_claude, who_bills
from signalbox.settings.problems import Problem
from signalbox.settings.rules.gateway import undefined
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections
from signalbox.settings.sections.lanes import Lane

# claude-<lane> would be one of these commands, Claude Code's own or the project's.
RESERVED = {
    "code": "Claude Code's own name",
    "switch": "the command that changes lanes",
    "doctor": "the command that checks a host",
    "logs": "the command that follows the routing",
    "usage": "the command that shows usage",
    "session": "the command that opens a lasting session",
    "session-run": "a part of claude-session",
    "task-run": "a part of the unit claude-task@",
    "task-check": "a part of the unit claude-task@",
    "complete": "the program behind completions",
    "statusline": "the status line's program",
    "stopped": "what Claude Code runs where a turn ends",
    "key": "the program behind an apiKeyHelper",
    "escalate": "the command that asks the cloud",
    "dispatch": "the command that hands work to the local lane",
    "status": "a word of claude-switch",
    "list": "a word of claude-switch",
    "help": "a word of claude-switch",
    "private": "an option of every local lane",
}


def lane_names(_: Sections, raw: Raw) -> Iterator[Problem]:
    """A lane's name makes a command of its own."""
    for name in raw["lanes"]:
        at: Path = ("lanes", name)
        if name in RESERVED:
            yield Problem(at, f"claude-{name} is {RESERVED[name]}; give the lane another name")
        elif not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 24:
            yield Problem(at, f"{show(name)} makes no command claude-…; write a-z, 0-9 and single -, at most 24")


def lane_directories(settings: Sections, _: Raw) -> Iterator[Problem]:
    """A lane's sessions and settings are its own, and never those of a subscription's login."""
    owner: dict[str, str] = {}
    for name, lane in _enabled(settings):
        if lane.config_dir is None:
            continue
        at: Path = ("lanes", name, "config_dir")
        if lane.config_dir == "~/.claude" and lane.via != "first-party":
            yield Problem(
                at, f'"~/.claude" belongs to plain claude and its login; write one such as "~/.claude-{name}"'
            )
        if lane.config_dir in owner:
            other = owner[lane.config_dir]
            yield Problem(at, f'{show(lane.config_dir)} is the directory of lane {other} too; write "~/.claude-{name}"')
        owner.setdefault(lane.config_dir, name)


def lanes_complete(settings: Sections, _: Raw) -> Iterator[Problem]:
    """What an enabled lane needs is there."""
    for name, lane in _enabled(settings):
        at: Path = ("lanes", name)
        if lane.config_dir is None:
            yield Problem((*at, "config_dir"), f'missing; write a directory of its own, such as "~/.claude-{name}"')
        missing = [slot for slot in SLOTS if slot not in lane.models]
        if missing and lane.via != "first-party":
            yield Problem((*at, "models"), f"no model for {', '.join(missing)}; Claude Code asks for each, so name one")


def lane_models(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """Slots name models that exist."""
    paths = dict(known_models(settings, raw))
    for name, lane in _enabled(settings):
        for slot, model in lane.models.items():
            if lane.via != "first-party" and model not in paths and not PLACEHOLDER.search(model):
                yield Problem(("lanes", name, "models", slot), undefined(model, paths))


def direct_lanes(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """A direct lane goes to one backend, which has its models and speaks Anthropic's format."""
    paths = list(known_models(settings, raw))
    for name, lane in _enabled(settings):
        if lane.via != "direct":
            continue
        at: Path = ("lanes", name)
        have: list[set[str]] = []
        for slot, model in lane.models.items():
            found = {path[:2] for known, path in paths if known == model}
            if ("clouds",) in {path[:1] for path in found}:
                said = f'{show(model)} is a cloud\'s, and direct goes to one backend; write via = "gateway"'
                yield Problem((*at, "models", slot), said)
            elif found:
                have.append({str(record) for _, record in found})
        if have and not set.intersection(*have):
            several = " and ".join(sorted(set.union(*have)))
            said = f"direct goes to one backend, these are of {several}; use models of one"
            yield Problem((*at, "models"), said)
        for record in sorted(set.intersection(*have)) if have else ():
            backend = settings.backends.get(record)  # not there when something in it is wrong: that is told already
            if backend and backend.url and backend.kind and backends.kind_of(backend).native_anthropic(backend) is None:
                instead = "a lane through the gateway cannot be private" if lane.private else 'write "gateway"'
                said = f"direct needs an Anthropic endpoint, and {record} ({backend.kind}) has none; {instead}"
                yield Problem((*at, "via"), said)
            for served in backend.models.values() if backend else ():
                if served.id and taken_for_claude(served.id) and not {*served.names}.isdisjoint(lane.models.values()):
                    yield Problem(
                        ("backends", record, "models", served.name, "id"),
                        f"{show(served.id)} is a name that Claude Code takes for a cloud model with its window, and "
                        f"lane {name} goes there directly; give the model another name on the server",
                    )


def lane_credentials(settings: Sections, _: Raw) -> Iterator[Problem]:
    """The credential fits where the lane goes."""
    for name, lane in _enabled(settings):
        at: Path = ("lanes", name, "credential")
        if lane.via == "gateway" and lane.credential != "gateway":
            yield Problem(at, f'{show(lane.credential)} is not what the gateway takes; write "gateway"')
        if lane.via != "gateway" and lane.credential == "gateway":
            yield Problem(
                at, f'"gateway" opens only the gateway, and this lane is {lane.via}; write "none" or a secret\'s name'
            )


def private_lanes(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """No process on a private lane's path knows a cloud or its key, so that nothing typed inside can leave."""
    paths = dict(known_models(settings, raw))
    instead = 'and the lane is private; write via = "direct", credential = "none" (or the name of the server\'s token)'
    for name, lane in _enabled(settings):
        if not lane.private:
            continue
        if lane.via == "first-party":
            yield Problem(("lanes", name, "via"), f"first-party is a cloud, {instead}")
        elif lane.via == "gateway":
            yield Problem(("lanes", name, "via"), f"the gateway knows the clouds and their keys, {instead}")
        for slot, model in lane.models.items():
            if model in paths and paths[model][0] == "clouds":
                at: Path = ("lanes", name, "models", slot)
                yield Problem(at, f"{show(model)} is a cloud's, and the lane is private; write a model of a backend")
            elif model in paths and (box := settings.backends.get(str(paths[model][1]))) and not box.own:
                said = f"{show(model)} has a payer, and the lane is private; write a model of your own"
                yield Problem(("lanes", name, "models", slot), said)


def auto_lanes(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """In auto mode the session's own model judges each call, in a form that only a Claude answers reliably."""
    known_models(settings, raw)
    records: list[Backend | Cloud] = [*settings.backends.values(), *settings.clouds.values()]
    served = [(record, model) for record in records if record.enabled for model in record.models.values()]
    others = {model.name for record, model in served if not is_claude(record, model)}
    for name, lane in _enabled(settings):
        if lane.permission_mode != "auto" or lane.via == "first-party":
            continue
        asked, later = asked_and_following(settings, lane)
        if wrong := next((each for each in (*asked, *later) if each in others), None):
            said = f'{show(wrong)} may answer here, and only a Claude judges calls; write "default" or "acceptEdits"'
            yield Problem(("lanes", name, "permission_mode"), said)


def own_words(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """A person's own words add to who pays; they do not say that nobody does where somebody may."""
    known_models(settings, raw)
    payers = {model.name: record.name for record in who_bills(settings) for model in record.models.values()}
    for name, lane in _enabled(settings):
        claim = _FREE.search(lane.billed or "")
        asked, later = asked_and_following(settings, lane)
        paid = next((payers[each] for each in (*asked, *later) if each in payers), None)
        if claim and (paid or lane.via == "first-party"):
            whose = "an account" if lane.via == "first-party" else f"the account of {paid}"
            said = f"{show(claim[0])} is not so: {whose} may be billed here; write None"
            yield Problem(("lanes", name, "billed"), f"{said}: models and fallbacks tell it")


_FREE = re.compile(r"\b(nobody|no one|free|gratis|nothing)\b", re.IGNORECASE)


def handovers(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """Work is handed to lanes that exist, and to the cloud never by way of a private one."""
    for key, handover in (("escalation", settings.launchers.escalation), ("dispatch", settings.launchers.dispatch)):
        at: Path = ("launchers", key, "lane")
        names = list(raw["lanes"])
        if names and handover.lane not in names:
            hint = nearest(handover.lane, names) or f"; write one of {', '.join(names)}"
            yield Problem(at, f"there is no lane {show(handover.lane)}{hint}")
        elif key == "escalation" and (lane := settings.lanes.get(handover.lane)) and lane.private:
            yield Problem(at, f"{show(handover.lane)} is private, and escalation goes to a cloud; write another lane")


def _enabled(settings: Sections) -> Iterator[tuple[str, Lane]]:
    return ((name, lane) for name, lane in settings.lanes.items() if lane.enabled)


RULES: list[Rule] = [
    lane_names,
    lane_directories,
    lanes_complete,
    lane_models,
    direct_lanes,
    lane_credentials,
    private_lanes,
    auto_lanes,
    own_words,
    handovers,
]
