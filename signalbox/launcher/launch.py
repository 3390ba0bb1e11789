#!/usr/bin/python3
"""Start Claude Code in a lane: claude-<lane> [what claude takes].

The name that this is called by tells the lane. It checks what would otherwise look like a hang, sets the
lane's environment, and becomes claude: arguments, input, output and exit status are claude's own.

Exit statuses of its own are those of sysexits(3): 64 usage, 69 the gateway does not answer, 77 not the
service user, 78 something on this host is not as the deploy left it.
"""

# Standard library only: it runs on the host, with Debian's own python3 (3.11 or newer).

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

RECORDS = Path(os.environ.get("SIGNALBOX_LANES", "/etc/signalbox/lanes.json"))
PATIENCE = 3  # seconds; the gateway is on this host's loopback

EX_USAGE, EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG = 64, 69, 77, 78

# Whatever of these a shell has set would take requests past the lane, or bill another account.
CONFLICTING = ("ANTHROPIC_", "CLAUDE_CODE_USE_", "CLAUDE_CODE_SKIP_", "CLAUDE_CODE_OAUTH_", "CLAUDE_CODE_GATEWAY_")
CONFLICTING_NAMES = (
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",  # stops the background calls that a lane sends elsewhere
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CONFIG_DIR",
)
TOO_HIGH = ("xhigh", "max")  # efforts that many backends refuse


def main() -> NoReturn:
    """Start the lane that the program's name tells."""
    name = Path(sys.argv[0]).name.removeprefix("claude-")
    records = read_records()
    lane = records["lanes"].get(name)
    if lane is None:
        known = " ".join(f"claude-{each}" for each in records["lanes"]) or "none"
        fail(EX_USAGE, f"no lane is called {name!r} here; commands on this host: {known}")
    require_user(records["user"])
    key = read_key(lane["key_file"])
    if lane["via"] == "gateway":
        check_gateway(records["gateway"], key or "", lane)
    prepare(Path(lane["environment"]["CLAUDE_CONFIG_DIR"]), lane)
    if sys.stdin.isatty() and sys.stderr.isatty():
        say(f"this bills {lane['billed']}")
    become(records["claude"], [*records["flags"], *sys.argv[1:]], environment(lane, key))


def say(text: str) -> None:
    """Print a line on stderr: stdout is claude's."""
    print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)


def fail(status: int, text: str) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    say(text)
    sys.exit(status)


def read_records() -> dict[str, Any]:
    """Return what the deploy wrote."""
    try:
        records: dict[str, Any] = json.loads(RECORDS.read_text())
    except (OSError, ValueError) as error:
        fail(EX_CONFIG, f"{RECORDS} cannot be read ({error}); run the deploy again")
    return records


def require_user(user: str) -> None:
    """Go on only as the user that the lanes are for."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    if me == user:
        return
    why = "as root an agent could do anything to this host" if me == "root" else f"you are {me}"
    fail(EX_NOPERM, f"this runs as {user} alone ({why}); log in as {user}: ssh {user}@{os.uname().nodename}")


def read_key(path: str | None) -> str | None:
    """Return the lane's key, None for a lane without one."""
    if path is None:
        return None
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        key = Path(path).read_text().strip()
    except OSError as error:
        fail(EX_CONFIG, f"the key in {path} cannot be read ({error.strerror}); run the deploy again")
    if mode & 0o077:
        fail(EX_CONFIG, f"others may read the key in {path}; chmod 600 {path}")
    if not key:
        fail(EX_CONFIG, f"{path} is empty; run the deploy again")
    return key


def check_gateway(gateway: dict[str, str], key: str, lane: dict[str, Any]) -> None:
    """Fail at once where Claude Code would retry for a minute and a half without a word."""
    url = gateway["url"]
    logs = "journalctl _SYSTEMD_USER_UNIT=litellm.service -n 30 (as root)"  # its user may not be this one
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    try:
        # No proxy: the gateway is on this host.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE) as answer:
            served = {model["id"] for model in json.load(answer)["data"]}
    except urllib.error.HTTPError as error:
        if error.code in (400, 401, 403):  # LiteLLM without a database answers 400 to a wrong key
            fail(EX_CONFIG, f"the gateway at {url} refuses the key in {lane['key_file']}; run the deploy again")
        fail(EX_UNAVAILABLE, f"the gateway at {url} answers {error.code}; see {logs}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        fail(EX_UNAVAILABLE, f"the gateway does not answer at {url} ({reason}); it may be starting, else see {logs}")
    missing = sorted(set(lane["models"].values()) - served)
    if missing:
        fail(EX_CONFIG, f"the gateway at {url} has no model {', '.join(missing)}; run the deploy again")


def prepare(directory: Path, lane: dict[str, Any]) -> None:
    """Have the lane's configuration directory, with settings that let the lane's environment decide."""
    path = directory / "settings.json"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = path.read_text() if path.exists() else None
    except OSError as error:
        fail(EX_CONFIG, f"{path} cannot be used ({error.strerror})")
    if old is None:
        replace(path, {"effortLevel": lane["effort"]})
        return
    try:
        settings = json.loads(old)
    except ValueError as error:
        fail(EX_CONFIG, f"{path} is not JSON ({error}); mend it, or move it away")
    if not isinstance(settings, dict):
        fail(EX_CONFIG, f"{path} holds no JSON object; mend it, or move it away")
    block = settings.get("env") or {}
    beating = [f"env.{name}" for name in block if conflicts(name) or name in lane["environment"]]
    beating += ["apiKeyHelper"] if "apiKeyHelper" in settings else []
    if beating:
        fail(EX_CONFIG, f"{path} sets {', '.join(beating)}, which beats the lane; take that out")
    if settings.get("effortLevel", TOO_HIGH[0]) in TOO_HIGH:
        backup = path.with_name("settings.json.before-signalbox")
        if not backup.exists():
            backup.write_text(old)
        replace(path, {**settings, "effortLevel": lane["effort"]})


def replace(path: Path, settings: dict[str, Any]) -> None:
    """Write the file whole or not at all: several sessions may start at once."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(settings, indent=2) + "\n")
    new.replace(path)


def conflicts(name: str) -> bool:
    """Whether a variable would change where requests go or who pays."""
    return name.startswith(CONFLICTING) or name in CONFLICTING_NAMES


def environment(lane: dict[str, Any], key: str | None) -> dict[str, str]:
    """Return claude's environment: this one, without what conflicts, with the lane's."""
    inherited = {name: value for name, value in os.environ.items() if not conflicts(name)}
    if lane["via"] == "first-party":
        return {**inherited, **lane["environment"]}
    # A server that asks for no key gets a word: without any, Claude Code would ask to log in.
    return {**inherited, **lane["environment"], "ANTHROPIC_AUTH_TOKEN": key or "none"}


def become(program: str, arguments: list[str], variables: dict[str, str]) -> NoReturn:
    """Run `program` in place of this one."""
    try:
        os.execve(program, [program, *arguments], variables)  # noqa: S606 (no shell is the point)
    except OSError as error:
        fail(EX_CONFIG, f"Claude Code cannot be started from {program} ({error.strerror}); run the deploy again")


if __name__ == "__main__":
    main()
