"""How each kind of thing in the manifest is taken away again, and what it replaced is given back.

What lies in a user's home is touched with that user's rights alone (see run_as.as_owner).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator

from signalbox.settings.account import Account
from signalbox.shell import Script, all_of, manifest, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import (
    edited_of,
    give_back,
    is_as_placed,
    keep,
    lines_without,
    owned,
    owner_of,
    replaced,
)
from signalbox.shell.removal.accounts import linger_back, linger_gone, subids_back, user_gone
from signalbox.shell.removal.packages import packages_back, packages_gone
from signalbox.shell.removal.services import container_as_it_was, run_by, unit_started, unit_stopped
from signalbox.shell.removal.tools import tool_gone

# Users go last: what they own goes before them. Directories after what they hold; packages after what uses them.
ORDER = (
    "unit",
    "image",
    "link",
    "file",
    "line",
    "choice",
    "aside",
    "key",
    "tool",
    "sysctl",
    "container",
    "directory",
    "package",
    "replaced",
    "stopped",
    "mode",
    "linger",
    "subids",
    "shell",
    "expiry",
    "user",
)

_USER_UNIT = re.compile(r"(/home/[^/]+)/\.config/systemd/user/([^/]+)")
_SYSTEM_UNIT = re.compile(r"/etc/systemd/system/([^/]+\.(?:service|timer|socket|path|mount))")
# What must hear of it when a file below the path is gone, once.
_AFTER = (
    ("/etc/systemd/", sh("systemctl daemon-reload")),
    ("/usr/local/share/ca-certificates/", sh("update-ca-certificates --fresh >/dev/null")),
    # These may have gone with their packages by then.
    ("/etc/ssh/", sh("! command -v sshd >/dev/null || {{ sshd -t && systemctl try-reload-or-restart ssh.service; }}")),
    (
        "/etc/fail2ban/",
        sh("! systemctl --quiet is-active fail2ban.service || systemctl reload-or-restart fail2ban.service"),
    ),
)


def step_of(entry: Entry) -> str:
    """Return the kind with which a thing goes: its own, but for what keeps root's Docker from starting at a boot.

    Until our packages are gone it would start with them, and take a storage driver that it has not without them.
    """
    return "replaced" if entry.kind == "link" and entry.hash == "/dev/null" else entry.kind


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries in the order in which their things can go; those of unknown kinds last."""

    def place(entry: Entry) -> tuple[int, bool, int, str]:
        rank = ORDER.index(entry.kind) if entry.kind in ORDER else len(ORDER)
        unit = bool(_USER_UNIT.fullmatch(entry.id) or _SYSTEM_UNIT.fullmatch(entry.id))
        if unit and not entry.id.endswith("/docker.service"):
            rank = -1  # before what they need: images, files
        if step_of(entry) != entry.kind:
            return ORDER.index(step_of(entry)), False, 0, entry.id
        return rank, not unit, -entry.id.count("/"), entry.id  # the deepest first

    return sorted(entries, key=place)


def removal(entries: Iterable[Entry], users: Container[str] = ()) -> Iterator[Script]:
    """Yield the shell commands, for root, that take these things away and forget them; each can be run again.

    users: those that go with their homes, where Signalbox made them; others stay, with what is theirs.
    """
    rest = ordered(entries)
    packages = [entry for entry in rest if entry.kind == "package"]
    # What must be heard of is forgotten when it was: a run that is killed in between leaves that to the next one.
    heard = {
        prefix: [entry for entry in rest if entry.kind in ("file", "link") and entry.id.startswith(prefix)]
        for prefix, _ in _AFTER
    }
    later = [entry for entries in heard.values() for entry in entries]
    for entry in rest:
        if entry in later:
            yield _taken(entry, users)
        elif entry.kind != "package":
            yield all_of(_taken(entry, users), manifest.forget(entry.kind, entry.id))
        elif entry == packages[0]:
            yield packages_gone(packages)
    for prefix, then in _AFTER:
        if heard[prefix]:
            forgotten = [manifest.forget(entry.kind, entry.id) for entry in heard[prefix]]
            yield all_of(sh("{{ {}; }}", then), *forgotten)


def _taken(entry: Entry, users: Container[str]) -> Script:
    account, _, rest = entry.id.partition(":")
    nothing = sh("true")
    how: dict[str, Callable[[], Script]] = {
        "file": lambda: _path(entry),
        "link": lambda: _path(entry),
        # Not empty: somebody else keeps something there.
        "directory": lambda: sh("{{ {{ {}; }} 2>/dev/null || true; }}", owned(entry.id, sh("rmdir {}", entry.id))),
        "line": lambda: _line(entry),
        "choice": lambda: _choice(entry),
        "key": lambda: _key(account, rest),
        "unit": lambda: _quiet(sh("systemctl disable --now {}", entry.id)),
        "image": lambda: _quiet(run_by(account, sh("docker image rm --force {}", rest))),
        "tool": lambda: tool_gone(entry),
        "aside": lambda: _aside(entry),
        "sysctl": lambda: _sysctl(entry),
        "container": lambda: run_by(account, container_as_it_was(entry, rest)),
        "replaced": lambda: packages_back(entry),
        "stopped": lambda: unit_started(entry),
        "linger": lambda: linger_back(account) if entry.hash == "off" else linger_gone(account),
        # Unless somebody has chosen another one since.
        "shell": lambda: sh(
            '{{ [ "$(getent passwd {account} | cut -d: -f7)" != {shell} ] || usermod --shell {before} {account}; }}',
            account=account,
            shell=entry.hash,
            before=entry.original or "/bin/sh",
        ),
        "expiry": lambda: sh(
            '{{ [ -n "$(getent shadow {account} | cut -d: -f8)" ] || chage --expiredate {day} {account}; }}',
            account=account,
            day=entry.original or "-1",
        ),
        "mode": lambda: sh("{{ {}; }}", owned(f"{entry.id}/", sh("chmod {} {}", entry.original or "700", entry.id))),
        # Those that were there before, from useradd or a person, stay as long as the user does.
        "subids": lambda: subids_back(entry),
        "user": lambda: user_gone(account, entry.original) if account in users else nothing,
    }
    return how.get(entry.kind, lambda: nothing)()


def _aside(entry: Entry) -> Script:
    """Give back what was set aside, unless somebody has put something else there."""
    back = give_back(entry.id, entry.original) if entry.original else sh("true")
    return sh("if [ ! -e {path} ] && [ ! -L {path} ]; then {}; fi", back, path=entry.id)


def _quiet(command: Script) -> Script:
    return sh("{{ {{ {}; }} >/dev/null 2>&1 || true; }}", command)


def _path(entry: Entry) -> Script:
    steps: list[Script] = []
    again: Script | None = None  # a unit that was there before ours runs again
    if unit := _USER_UNIT.fullmatch(entry.id):
        steps.append(_quiet(run_by(owner_of(entry.id), unit_stopped(unit[2]))))
        start = sh(" && systemctl --user enable --now {}", unit[2]) if entry.original else Script("")
        again = _quiet(run_by(owner_of(entry.id), sh("systemctl --user daemon-reload{}", start)))
    elif (unit := _SYSTEM_UNIT.fullmatch(entry.id)) and entry.kind == "file":
        steps.append(_quiet(sh("systemctl disable --now {}", unit[1])))
        if entry.original:
            again = _quiet(sh("systemctl daemon-reload && systemctl enable --now {}", unit[1]))
    if entry.kind == "file" and entry.hash:
        # Somebody wrote into it since: a copy stays beside the originals.
        edited = keep(entry.id, edited_of("file", entry.id))
        steps.append(
            sh(
                "if [ -f {path} ] && [ ! -L {path} ] && ! {same}; then {edited}; fi",
                path=entry.id,
                same=is_as_placed(entry.id, entry.hash),
                edited=edited,
            )
        )
    steps.append(owned(entry.id, sh("rm -f {}", entry.id)))
    if entry.original:
        steps.append(give_back(entry.id, entry.original))
    if again:
        steps.append(again)
    return all_of(*(sh("{{ {}; }}", step) for step in steps))


def _sysctl(entry: Entry) -> Script:
    return _quiet(sh("sysctl -qw {}", f"{entry.id}={entry.original or ''}"))


def _line(entry: Entry) -> Script:
    edit = replaced(entry.id, lines_without(entry.hash))
    # One that we made goes with its only line.
    empty = sh('[ -s "$p" ] || rm -f "$p"') if entry.original is None else sh("true")
    script = sh("if [ -f {} ]; then {} && {{ {}; }}; fi", entry.id, edit, empty)
    forget = sh("rm -f {}", entry.original) if entry.original else sh("true")
    return sh("{{ {}; }} && {}", owned(entry.id, script), forget)


def choice_made(path: str, change: str) -> Script:
    """Return shell, for its owner, that changes the JSON object `s` of a person's file by a line of Python.

    An empty object is no file.
    """
    program = f"import json, sys; s = json.load(sys.stdin); {change}; json.dump(s, sys.stdout, indent=2,"
    edit = sh("/usr/bin/python3 -IS -c {} && echo", f"{program} ensure_ascii=False)")
    return sh(
        "{{ [ -s {path} ] || ( umask 077; echo '{{}}' > {path} ); }} && {edit}"
        ' && {{ [ "$(cat "$p")" != \'{{}}\' ] || rm -f "$p"; }}',
        path=path,
        edit=replaced(path, edit),
    )


def _choice(entry: Entry) -> Script:
    """Take a choice of ours away, unless the person has made another since."""
    key, _, number = entry.hash.partition("=")
    taken = choice_made(entry.id, f"s.get({key!r}) == {number} and s.pop({key!r})")
    # What cannot be read holds nothing of ours that works.
    return sh("{{ {} || true; }}", owned(entry.id, sh("if [ -f {} ]; then {}; fi", entry.id, taken)))


def _key(account: str, key: str) -> Script:
    path = f"{Account.named(account).home}/.ssh/authorized_keys"
    kind, _, blob = key.partition(" ")
    # A line with options before its key is a person's own, and says who may use it from where.
    others = sh("awk -v kind={} -v blob={} {}", kind, blob, "!($1 == kind && $2 == blob)")
    return sh("{{ {}; }}", owned(path, sh("if [ -f {} ]; then {}; fi", path, replaced(path, others))))
