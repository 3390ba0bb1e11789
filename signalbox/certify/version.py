"""A version of Claude Code against what lanes set for it: a row fails where a setting no longer does its work.

It asks a scripted model on loopback, with the environment and the settings of the shipped private lane, in a home of
its own: nothing of the caller's is read or changed, and nobody is billed.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from signalbox.certify.checks import FAILED, PASSED, Begins, Row
from signalbox.certify.scripted import ANSWER, DONE, scripted
from signalbox.certify.trial import LANE, OtherwiseError, Trial
from signalbox.desired.claude_settings import LEFT_OUT
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.settings import Settings
from signalbox.settings.layers import defaults

LEAN_BYTES = 48 << 10  # of a first request
HELD = 120  # seconds for which a command in the background would hold a run
NEEDED = {"Agent", "Bash", "Edit", "Read", "Skill", "Write"}
OLD = 400  # days


Look = Callable[[Trial], str]
LOOKS: list[tuple[str, Look]] = []


def _look(name: str) -> Callable[[Look], Look]:
    def register(body: Look) -> Look:
        LOOKS.append((name, body))
        return body

    return register


def rows(
    program: str,
    begins: Begins = lambda _: nullcontext(),
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Iterator[Row]:
    """Yield a row a setting.

    program: Claude Code's. begins: is around each row, with its name; for progress. change: of the lane's record, so
    that rows fail.
    """
    with scripted() as model, tempfile.TemporaryDirectory(prefix="signalbox-certify-") as place:
        trial = Trial(program, model, Path(place), _record(model.url, Path(place)))
        change(trial.record)
        trial.work.mkdir()
        trial.config.mkdir()
        trusted = {"hasCompletedOnboarding": True, "projects": {str(trial.work): {"hasTrustDialogAccepted": True}}}
        (trial.config / ".claude.json").write_text(json.dumps(trusted))
        for name, body in LOOKS:
            with begins(name):
                trial.fresh()
                try:
                    row = Row(name, PASSED, body(trial))
                except (OtherwiseError, OSError) as error:
                    row = Row(name, FAILED, str(error))
            yield row


def _record(url: str, place: Path) -> dict[str, Any]:
    """Return the shipped private lane's record, with its server at `url` and its directory in `place`."""
    box = {"kind": "llama_cpp", "url": url, "models": {"local": {"id": "local", "context_length": 65536}}}
    off = {"enabled": False}
    mine = {
        **dict.fromkeys(("gateway", "service_user", "toolchain"), off),
        "backends": {"lmstudio": off, "box": box},
        "lanes": {name: off for name in defaults()["lanes"] if name != LANE} | {LANE: {"enabled": True}},
        "rootless_docker": {"host_loopback": True},  # as the address is this machine's own
    }
    settings = Settings.from_layers([("group_data/all.py", defaults()), ("certify", mine)], host="certify")
    record: dict[str, Any] = lane_records(settings, routing_table(settings))["lanes"][LANE]
    record["environment"] |= {"CLAUDE_CONFIG_DIR": str(place / "config"), "ANTHROPIC_CONFIG_DIR": str(place / "other")}
    record["settings"].pop("statusLine")  # a host's program
    return record


def _session(trial: Trial) -> dict[str, Any]:
    """Return the newest request of a session."""
    bodies = trial.model.sessions()
    if not bodies:
        raise OtherwiseError("the lane's server was never asked")
    return bodies[-1]


@_look("asks the lane's server, for the lane's model")
def _asks(trial: Trial) -> str:
    said, _ = trial.ask("say OK")
    body = _session(trial)
    if said != ANSWER:
        raise OtherwiseError(f"it says {said[-120:]!r}")
    wanted = int(trial.record["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])
    if (body["model"], body["max_tokens"]) != ("local", wanted):
        raise OtherwiseError(f"it asks for {body['model']}, max_tokens {body['max_tokens']}; not local, {wanted}")
    others = {str(each.get("model")) for each in trial.model.bodies} - {"local"}
    if others:
        raise OtherwiseError(f"its background work asks for {', '.join(sorted(others))}")
    return f"{len(trial.model.bodies)} requests, max_tokens {wanted}"


@_look("a proxy is passed by")
def _proxy(trial: Trial) -> str:
    dead = "http://127.0.0.1:9"
    trial.ask("say OK", base={"HTTPS_PROXY": dead, "HTTP_PROXY": dead, "https_proxy": dead, "http_proxy": dead})
    _session(trial)
    return "answered with a dead one in the environment"


@_look("the prompt is lean")
def _lean(trial: Trial) -> str:
    trial.ask("say OK")
    body = _session(trial)
    tools = {str(each.get("name")) for each in body["tools"]}
    size = len(json.dumps(body).encode())
    if missing := NEEDED - tools:
        raise OtherwiseError(f"without {', '.join(sorted(missing))}")
    if there := tools & set(LEFT_OUT):
        raise OtherwiseError(f"{', '.join(sorted(there))} are not left out")
    if size > LEAN_BYTES:
        raise OtherwiseError(f"{size} bytes in {len(tools)} tools: {', '.join(sorted(tools))}")
    return f"{size} bytes, {len(tools)} tools"


@_look("tools come whole, without the vendor's header")
def _whole(trial: Trial) -> str:
    trial.ask("say OK")
    text = json.dumps(_session(trial))
    for words in ("defer_loading", "DeferredToolPlaceholder", "x-anthropic-billing-header"):
        if words in text:
            raise OtherwiseError(f"a request has {words}")
    return "no schema is held back, no header"


@_look("a command in the background does not hold a run")
def _background(trial: Trial) -> str:
    work = {"command": f"sleep {HELD}", "run_in_background": True, "description": "waits"}
    # Refused there, it would run in the foreground where it were allowed.
    said, _ = trial.ask(f"CALL Bash {json.dumps(work)}", "--allowedTools", "Bash")
    if DONE not in said:
        raise OtherwiseError(f"it says {said[-120:]!r}")
    return "the run ends with its answer"


def _swept(trial: Trial) -> bool:
    """Return whether a conversation of OLD days is gone after a run that is long enough for a sweep."""
    kept = trial.config / "projects" / "old" / "00000400-0000-4000-8000-000000000000.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("{}\n")
    long_ago = time.time() - OLD * 86400
    os.utime(kept, (long_ago, long_ago))
    (trial.config / ".last-cleanup").unlink(missing_ok=True)
    trial.ask('CALL Bash {"command": "sleep 12"}', "--allowedTools", "Bash")
    return not kept.exists()


@_look("conversations are kept")
def _kept(trial: Trial) -> str:
    if _swept(trial):
        raise OtherwiseError(f"one of {OLD} days is gone")
    path = trial.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cleanupPeriodDays": 5}))
    if not _swept(trial):
        raise OtherwiseError(f"with cleanupPeriodDays = 5 one of {OLD} days stays, so this row shows nothing")
    return f"one of {OLD} days stays, and goes with cleanupPeriodDays = 5"


@_look("a bad value in settings.json is told, and deletes nothing")
def _bad_value(trial: Trial) -> str:
    path = trial.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "permissions": {"defaultMode": "nonsense"}}))
    _, errors = trial.ask("say OK")
    if "settings" not in errors.lower():
        raise OtherwiseError("not a word on stderr")
    if _swept(trial):
        raise OtherwiseError(f"a conversation of {OLD} days is gone")
    return " ".join(errors.split())[:90]


@_look("a session starts in manual mode")
def _manual(trial: Trial) -> str:
    trial.screen("", "manual mode on")
    return "its screen says so, after no question"


@_look("/model offers no 1M variant")
def _menu(trial: Trial) -> str:
    shown = trial.screen("/model\r", "manual mode on", "Esc to cancel")
    if "[1m]" in shown or "1M" in shown:
        raise OtherwiseError("one with 1M tokens is on the list")
    if "box" not in shown:
        raise OtherwiseError("the list is not the lane's")
    return "the lane's own list"
