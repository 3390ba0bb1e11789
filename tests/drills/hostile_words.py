"""What others say is shown, and drives no terminal; what others put into homes is looked at within bounds."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from unicodedata import category

import pexpect

from tests.drills import looks
from tests.drills.deployment import LIMIT_SECONDS, Site
from tests.drills.drill import Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.drills.told import doctor, drill, seen, verify, well_again
from tests.lab import hosts, services

CLIPBOARD, TITLE = "\x1b]52;c;cm0gLXJmIH4K\x07", "\x1b]0;taken\x07"
ATTACK = f"a{CLIPBOARD}{TITLE}\x1b[2J\x9b1m\u202eb"
NAME = "\x1b]52;c;cm0gLXJmIH4K\x07\x1b]0;taken\x07"  # as much of it as a file can be called
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SPINNER = re.compile(r"\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\x1b\[K|\r")  # rich's and pyinfra's, on a terminal
AUDIT = "/var/lib/signalbox/audit/requests.jsonl"
ENTRY = {
    "time": "2026-11-30T08:00:00+00:00", "session": "drill-words", "lane": f"local{ATTACK}", "asked": ATTACK,
    "model": ATTACK, "backend": ATTACK, "fallback": ATTACK, "error_class": ATTACK, "status": 200, "input_tokens": 1,
    "output_tokens": 1, "cached_tokens": 0, "cost_usd": 0.0, "compared_usd": 0.0, "estimated": False, "seconds": 0.1,
}  # fmt: skip
# As the service user: a name, a link's target, a settings file and a unit with words that attack.
WORD = f"$'{NAME.encode('unicode_escape').decode()}'"  # as bash reads it
SETTINGS = json.dumps({"env": {f"ANTHROPIC_{ATTACK}": "x"}})
PLANT = f"""
mkdir -p ~/.config/environment.d
echo ANTHROPIC_API_KEY=x > ~/.config/environment.d/{WORD}.conf
[ ! -e ~/.claude-routed/settings.json ] || cp -a ~/.claude-routed/settings.json ~/settings.kept
printf '%s' {looks.quoted(SETTINGS)} > ~/.claude-routed/settings.json
cp -a ~/.config/systemd/user/docker.service ~/docker.kept
sed -i 's/^Description=.*/Description={ATTACK}/' ~/.config/systemd/user/docker.service
printf '%s\\n' '{ATTACK}' > ~/drill-words
mv ~/.claude/skills ~/skills.kept; ln -s {WORD} ~/.claude/skills
"""
TAKE_BACK = """
rm -f ~/.config/environment.d/$'\\x1b'*.conf ~/.claude/skills ~/.claude-routed/settings.json ~/drill-words
mv ~/skills.kept ~/.claude/skills
mv ~/docker.kept ~/.config/systemd/user/docker.service
[ ! -e ~/settings.kept ] || mv ~/settings.kept ~/.claude-routed/settings.json
"""
# A model server that calls its models, and every error, by such words.
PORT = 18765
SERVER = f"""
import http.server, json
class Hostile(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"data": [{{"id": {ATTACK!a}}}], "error": {{"message": {ATTACK!a}}}}}).encode()
        self.send_response(200 if self.path.endswith("/models") else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
http.server.ThreadingHTTPServer(("", {PORT}), Hostile).serve_forever()
"""
LAUNCH = "/usr/local/lib/signalbox/launcher"
STATUS = json.dumps({"session_id": "drill-words", "model": {"id": ATTACK}, "context_window": {"used_percentage": 1}})
ON_HOST: Mapping[str, tuple[str, str]] = {  # what is called: as whom, and how
    "claude-doctor, by root": ("root", "claude-doctor"),
    "claude-doctor": ("claude", "claude-doctor"),
    "claude-logs": ("claude", f"{LAUNCH}/launch.py logs --no-follow -n 300"),
    "claude-logs --json": ("claude", f"{LAUNCH}/launch.py logs --no-follow -n 300 --json"),
    "claude-usage": ("claude", f"{LAUNCH}/launch.py usage"),
    "status line": (
        "claude",
        f"printf '%s' {looks.quoted(STATUS)} | SIGNALBOX_LANE=local {LAUNCH}/launch.py statusline",
    ),
}  # fmt: skip
WORDS = "/home/claude/drill-words"  # a file that holds the attack
# What a person types on the controller.
ON_CONTROLLER: Mapping[str, tuple[str, ...]] = {
    "plan": ("signalbox", "plan", "INVENTORY", "-vv"),
    "plan --json": ("signalbox", "plan", "INVENTORY", "--json"),
    "verify": ("signalbox", "verify", "INVENTORY", "--quick"),
    "usage": ("signalbox", "usage", "INVENTORY"),
    "deploy --dry": ("pyinfra", "INVENTORY", "deploy.py", "--dry"),
    "verify.py": ("pyinfra", "INVENTORY", "verify.py", "--dry"),
    "exec": ("pyinfra", "-y", "INVENTORY", "exec", "--", "cat", WORDS),
    "exec that fails": ("pyinfra", "-y", "INVENTORY", "exec", "--", f"cat {WORDS} >&2; false"),
}
# The same programs with the function taken out, before anybody takes it from its module.
WITHOUT = "import signalbox.host.shared.output as s; s.shown = lambda text, lines=False: str(text); "
# Those that come across what is planted.
TELLING = (
    "claude-logs", "claude-usage", "status line", "plan", "usage", "verify", "claude-doctor, by root", "exec",
    "exec that fails",
)  # fmt: skip
MAINS = {
    "signalbox": "from signalbox.commands.cli import main; main()",
    "pyinfra": "import sys; sys.argv[0] = 'pyinfra'; from pyinfra_cli.main import main; main()",
}


def driving(text: str) -> list[str]:
    """Return what in these words drives a terminal, our own colours apart."""
    rest = SPINNER.sub("", COLOUR.sub("", text))
    return [each for each in rest if category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") and each not in "\n\t"]


def _silent(texts: Mapping[str, str]) -> None:
    """AssertionError unless none of these drives a terminal, and the attack is told as words."""
    for what, text in texts.items():
        assert not driving(text), f"{what}: {sorted(set(map(ascii, driving(text))))} in {text!a}"


def _on_host(folder: str = LAUNCH) -> dict[str, str]:
    """Return what each command prints on the host."""
    told = {}
    for what, (user, command) in ON_HOST.items():
        done = hosts.run(HOST, command.replace(LAUNCH, folder), user=user, check=False, timeout=120)
        assert "Traceback" not in done.stderr, f"{what}: {done.stderr}"
        told[what] = done.stdout + done.stderr
    return told


def _on_controller(site: Site, before: str = "", only: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a terminal gets from each command."""
    told = {}
    for what, (program, *words) in ON_CONTROLLER.items():
        if only and what not in only:
            continue
        arguments = [str(site.inventory()) if word == "INVENTORY" else word for word in words]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYINFRA_")}
        screen = pexpect.spawn(
            sys.executable,
            ["-c", before + MAINS[program], *arguments],
            cwd=str(PROJECT),
            env={**kept, **services.environment(), "TERM": "xterm-256color"},
            encoding="utf-8",
            codec_errors="surrogateescape",
            dimensions=(60, 200),
            timeout=LIMIT_SECONDS,
        )
        try:
            screen.expect(pexpect.EOF)
        finally:
            screen.close(force=True)
        told[what] = str(screen.before)
    return told


@drill.cell("escapes")
def escapes(stage: Stage) -> Figures:
    """Names, links, units, settings and audit entries that hold escape sequences: no command lets one through."""
    site = stage.converged()
    well_again(site)
    looks.answer(
        f"cp -a {AUDIT} {AUDIT}.kept && printf '%s\\n' {looks.quoted(json.dumps(ENTRY))} >> {AUDIT}", user="root"
    )
    looks.answer(PLANT)
    quiet = "</dev/null >/dev/null 2>&1 &"
    looks.answer(f"nohup python3 -c {looks.quoted(SERVER)} {quiet} echo $! > $XDG_RUNTIME_DIR/drill-words; sleep 1")
    url = f"http://{hosts.address(HOST, 4)}:{PORT}"
    box = {"kind": "openai_compatible", "url": url, "models": {"drill-words": {"id": "any"}}}
    hostile = stage.site(settings={"backends": {"drill": box}})  # not deployed: who looks compares with it
    try:
        told = {**_on_host(), **_on_controller(hostile)}
        _silent(told)
        showing = [what for what, text in told.items() if r"\x1b]" in text or r"\u001b]" in text]
        missing = [each for each in TELLING if each not in showing]
        assert not missing, "; ".join(f"{each} tells nothing of it: {told[each][-600:]!a}" for each in missing)
        control = _controls(hostile)
    finally:
        looks.answer(f"cat {AUDIT}.kept > {AUDIT}; rm {AUDIT}.kept", user="root")  # the gateway has it open
        looks.answer(f"kill $(cat $XDG_RUNTIME_DIR/drill-words); {TAKE_BACK}")
    looks.answer("systemctl --user daemon-reload")
    well_again(site)
    return {
        "commands": ", ".join(told),
        "tell the attack as words": ", ".join(showing),
        "control": control,
    }


def _controls(site: Site) -> str:
    """The function taken out: what was shown now drives the terminal, on the host and on the controller."""
    folder = "/tmp/drill-words/launcher"  # noqa: S108 (the host's)
    out = "\\ndef shown(text, lines=False):\\n    return str(text)\\n"
    looks.answer(
        f"rm -rf /tmp/drill-words && cp -rp {LAUNCH.rpartition('/')[0]} /tmp/drill-words"
        f" && printf '{out}' >> {folder}/speak.py",
        user="root",
    )
    loose = _on_host(folder)
    for what in ("claude-logs", "claude-usage", "status line"):
        must_fail(lambda what=what: _silent({what: loose[what]}), "the function taken out")
    looks.answer("rm -rf /tmp/drill-words", user="root")
    screens = _on_controller(site, WITHOUT, ("plan", "usage", "exec"))  # verify tells what the host made safe before
    for what, text in screens.items():
        must_fail(lambda what=what, text=text: _silent({what: text}), "the function taken out")
    return f"fails with the function taken out: claude-logs, claude-usage, status line, {', '.join(screens)}"


# Files that the commands look at, and what the service user puts there in their place.
TRAPS: Mapping[str, Callable[[str], str]] = {
    "a pipe": lambda path: f"mkfifo {path}",
    "a link to /dev/zero": lambda path: f"ln -s /dev/zero {path}",
    "a sparse file of 5 GB": lambda path: f"truncate -s 5G {path}",
    "a directory": lambda path: f"mkdir {path}",
    "a link to /etc/shadow": lambda path: f"ln -s /etc/shadow {path}",
    "a link to itself": lambda path: f"ln -s {path} {path}",
    "JSON nested a million deep": lambda path: f"head -c 1000000 /dev/zero | tr '\\0' '[' > {path}",
}
PLACES = (
    "~/.claude/settings.json", "~/.claude.json", "~/.claude-routed/settings.json", "~/.claude-routed/.claude.json",
    "~/.bash_aliases", "~/.config/environment.d/10-drill.conf", "~/.claude-backends.env", "~/.pam_environment",
    "~/.local/state/signalbox/sessions/drill.json", "~/.config/systemd/user/claude-doctor.timer",
    "$XDG_RUNTIME_DIR/docker.service.inputs", "~/.config/signalbox/gateway.cred", "~/.ssh/authorized_keys",
)  # fmt: skip
ENDLESS = ("a pipe", "a link to /dev/zero")
LONGEST = 170.0  # seconds: less than what root gives a user's process, and what verify gives a host
CALLED = {
    "claude-logs": "claude-logs --no-follow",
    "claude-usage": "claude-usage",
    "status line": f"echo '{{}}' | {LAUNCH}/launch.py statusline",
    "claude-session": "claude-session list",
    "claude-switch": "claude-switch list",
}


@drill.cell("traps")
def traps(stage: Stage) -> Figures:
    """Pipes, devices, huge and odd files where the commands look: they end soon, and tell nothing of /etc/shadow."""
    site = stage.converged()
    well_again(site)
    figures: dict[str, object] = {}
    shadow = [line.split(":")[1] for line in looks.answer("cat /etc/shadow", user="root").splitlines()]
    secrets = [each for each in shadow if len(each) > 8] or [looks.answer("head -n 1 /etc/shadow", user="root")]
    for trap, command in TRAPS.items():
        lay = "; ".join(
            f'p={path}; mkdir -p "$(dirname $p)"; [ ! -e "$p" ] || mv "$p" "$p.kept"; {command("$p")}'
            for path in PLACES
        )
        _as_claude(lay)
        try:
            started = time.monotonic()
            status, answer = doctor("root")
            seconds = time.monotonic() - started
            words = seen(answer)
            assert status == 1, f"{trap}: nothing is wrong: {words}"
            assert seconds < LONGEST, f"{trap}: {seconds:.0f} s"
            assert "Traceback" not in words, words
            _keeps(json.dumps(answer), secrets)
            if trap in ENDLESS:
                figures.setdefault("read without bounds", must_fail(_plain_read, "it: no end"))
                started = time.monotonic()
                _, report = verify(site)
                assert time.monotonic() - started < LONGEST, "verify does not end"
                _keeps(json.dumps(report), secrets)
            for what, called in CALLED.items():
                told = _as_claude(f"timeout 20 sh -c {looks.quoted(called)} 2>&1; echo status $?")
                assert "status 124" not in told, f"{trap}: {what} does not end"
                assert "Traceback" not in told, f"{trap}: {what}: {told}"
                _keeps(told, secrets)
            figures[trap] = f"{seconds:.0f} s, {len(answer['findings'])} findings"
        finally:
            _as_claude("; ".join(f'p={path}; rm -rf "$p"; [ ! -e "$p.kept" ] || mv "$p.kept" "$p"' for path in PLACES))
    looks.answer("systemctl --user daemon-reload")
    well_again(site)
    figures["control"] = must_fail(
        lambda: _keeps(looks.answer("cat /etc/shadow", user="root"), secrets), "root's own look at /etc/shadow"
    )
    return figures


OPENS = "openat,open,openat2,execve,readlink,readlinkat"
BEGINS = "clone,clone3,fork,vfork"
BECOMES = re.compile(r"setresuid\(([1-9]\d+), \1, \1\b")
BEGUN = re.compile(r"(?:<\.\.\. )?v?(?:clone3?|fork)\b.*= (\d+)$")
OF_USERS = re.compile(r"/(?:home|run/user)/[^/\"]+/")  # and what lies there, but not the home itself


@drill.cell("root-looks")
def root_looks(stage: Stage) -> Figures:
    """Root's claude-doctor opens nothing in a home or a runtime directory: processes that have become the user do."""
    site = stage.converged()
    well_again(site)
    looks.answer("command -v strace >/dev/null || { apt-get -q update && apt-get -yq install strace; }", user="root")
    try:
        by_root, by_users = _opened_by("claude-doctor")
        assert by_users, "the trace holds nothing"
        assert not by_root, f"root opened {by_root[:5]}"
        control, _ = _opened_by("head -c 1 ~claude/.bashrc")
        assert control, "the trace does not see what root opens"
    finally:
        looks.answer("apt-get -yq purge strace; rm -f /run/drill-opens", user="root")
    return {
        "opened by users' processes": len(by_users),
        "by root": "nothing",
        "control": "a head of root's own is seen",
    }


def _opened_by(command: str) -> tuple[list[str], list[str]]:
    """Return what root opened of users' files while the command ran, and what processes of users did."""
    trace = f"strace -f -qq -e trace={OPENS},{BEGINS},setresuid -o /run/drill-opens"
    looks.answer(f"{trace} sh -c {looks.quoted(command)} >/dev/null 2>&1; true", user="root")
    lines = [line.split(maxsplit=1) for line in looks.answer("cat /run/drill-opens", user="root").splitlines()]
    since: dict[str, int] = {}  # the line from which on a process is a user's
    known = -1
    while known != len(since):  # what a process does may stand before the line that tells that it has begun
        known = len(since)
        for number, (pid, call) in enumerate(lines):
            if BECOMES.match(call):
                since[pid] = number
            elif (begun := BEGUN.match(call)) and since.get(pid, number) < number:
                since.setdefault(begun[1], -1)
    opened: tuple[list[str], list[str]] = ([], [])
    for number, (pid, call) in enumerate(lines):
        if OF_USERS.search(call):
            opened[since.get(pid, number) < number].append(call)
    return opened


def _plain_read() -> None:
    """AssertionError where a program that minds nothing would read for ever."""
    told = _as_claude("timeout 3 cat ~/.claude/settings.json >/dev/null; echo status $?")
    assert "status 124" not in told, told


def _as_claude(command: str) -> str:
    """Run it as the service user without a login, which would read what was laid."""
    inner = f"export HOME=~claude XDG_RUNTIME_DIR=/run/user/$(id -u claude); cd; {command}"
    return looks.answer(f"runuser -u claude -- bash --norc -c {looks.quoted(inner)}", user="root")


def _keeps(text: str, secrets: list[str]) -> None:
    for each in secrets:
        assert each not in text, "something of /etc/shadow is told"
