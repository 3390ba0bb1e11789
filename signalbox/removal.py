"""How each kind of thing in the manifest is taken away again, and what it replaced is given back.

What lies in a user's home is touched with that user's rights alone (see run_as.as_owner).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterable, Iterator

from signalbox import manifest
from signalbox.manifest import Entry
from signalbox.run_as import as_owner, run_as
from signalbox.settings.account import Account

# Users go last: what they own goes before them. Directories after what they hold; packages after what uses them.
ORDER = (
    "unit",
    "image",
    "link",
    "file",
    "line",
    "aside",
    "key",
    "tool",
    "sysctl",
    "container",
    "directory",
    "package",
    "mode",
    "linger",
    "subids",
    "user",
)

_USER_UNIT = re.compile(r"(/home/[^/]+)/\.config/systemd/user/([^/]+)")
_SYSTEM_UNIT = re.compile(r"/etc/systemd/system/([^/]+\.(?:service|timer|socket|path|mount))")
# What must hear of it when a file below the path is gone, once.
_AFTER = (
    ("/etc/systemd/", "systemctl daemon-reload"),
    ("/usr/local/share/ca-certificates/", "update-ca-certificates --fresh >/dev/null"),
    ("/etc/ssh/", "sshd -t && systemctl try-reload-or-restart ssh.service"),
    ("/etc/fail2ban/", "systemctl try-reload-or-restart fail2ban.service"),
    ("/etc/sysctl.d/", "sysctl --quiet --system || true"),
)
_STAGE = "/run/signalbox-original"


def owner_of(path: str) -> str:
    """Return the user with whose rights `path` is written: that of the home it is in, else root."""
    below = re.match(r"/home/([^/]+)/", path)
    return below[1] if below else "root"


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries in the order in which their things can go; those of unknown kinds last."""

    def place(entry: Entry) -> tuple[int, bool, int, str]:
        rank = ORDER.index(entry.kind) if entry.kind in ORDER else len(ORDER)
        unit = bool(_USER_UNIT.fullmatch(entry.id) or _SYSTEM_UNIT.fullmatch(entry.id))
        if unit and not entry.id.endswith("/docker.service"):
            rank = -1  # before what they need: images, files
        return rank, not unit, -entry.id.count("/"), entry.id  # the deepest first

    return sorted(entries, key=place)


def removal(entries: Iterable[Entry], users: Container[str] = ()) -> Iterator[str]:
    """Yield the shell commands, for root, that take these things away and forget them; each can be run again.

    users: those that go with their homes, where Signalbox made them; others stay, with what is theirs.
    """
    rest = ordered(entries)
    packages = [entry for entry in rest if entry.kind == "package"]
    for entry in rest:
        if entry.kind != "package":
            yield f"{_taken(entry, users)} && {manifest.forget(entry.kind, entry.id)}"
        elif entry == packages[0]:
            yield _packages(packages)
    paths = [entry.id for entry in rest if entry.kind in ("file", "link")]
    yield from (f"{{ {then}; }}" for prefix, then in _AFTER if any(path.startswith(prefix) for path in paths))


def _taken(entry: Entry, users: Container[str]) -> str:
    if entry.kind in ("file", "link"):
        return _path(entry)
    if entry.kind == "directory":
        path = shlex.quote(entry.id)
        # Not empty: somebody else keeps something there.
        return f"{{ {_as(entry.id, f'rmdir {path}')} 2>/dev/null || true; }}"
    if entry.kind == "line":
        return _line(entry)
    if entry.kind == "key":
        return _key(entry)
    account, _, rest = entry.id.partition(":")
    return {
        "unit": lambda: _quiet(f"systemctl disable --now {shlex.quote(entry.id)}"),
        "image": lambda: _quiet(_run(account, f"docker image rm --force {shlex.quote(rest)}")),
        "tool": lambda: _tool(entry),
        "sysctl": lambda: _quiet(f"sysctl -qw {shlex.quote(f'{entry.id}={entry.original}')}"),
        "aside": lambda: _aside(entry),
        "container": lambda: _run(account, _as_it_was(entry, rest)),
        "linger": lambda: _linger(account),
        "mode": lambda: f"{{ {_as(f'{entry.id}/', f'chmod {entry.original} {shlex.quote(entry.id)}')}; }}",
        # Those that were there before, from useradd or a person, stay as long as the user does.
        "subids": lambda: _subids(entry),
        "user": lambda: _user(account) if account in users else "true",
    }.get(entry.kind, lambda: "true")()


def _as(path: str, script: str) -> str:
    user = owner_of(path)
    # Where the user is gone, so is the reason for care: nobody can lay a link any more.
    return script if user == "root" else f"if id -u {user} >/dev/null 2>&1; then {as_owner(user, script)}; fi"


def _run(user: str, script: str) -> str:
    return f"if id -u {user} >/dev/null 2>&1; then {run_as(user, Account.named(user).home, script)}; fi"


def _aside(entry: Entry) -> str:
    """Give back what was set aside, unless somebody has put something else there."""
    path = shlex.quote(entry.id)
    return f"if [ ! -e {path} ] && [ ! -L {path} ]; then {give_back(entry.id, entry.original or '')}; fi"


def _as_it_was(entry: Entry, container: str) -> str:
    name = shlex.quote(container)
    again = f"docker container update --restart={entry.original or 'no'} {name} && docker container start {name}"
    there = f"docker container ls --all --quiet --filter {shlex.quote(f'name=^/{container}$')}"
    found = f'found=$({there}) && {{ [ -z "$found" ] || {{ {again}; }} >/dev/null; }}'
    return f"command -v docker >/dev/null || exit 0; {found}"


def _quiet(command: str) -> str:
    return f"{{ {{ {command}; }} >/dev/null 2>&1 || true; }}"


def _path(entry: Entry) -> str:
    path = shlex.quote(entry.id)
    steps, again = [], ""  # again: a unit that was there before ours runs again
    if unit := _USER_UNIT.fullmatch(entry.id):
        steps.append(_quiet(_run(owner_of(entry.id), _stopped(unit[2]))))
        start = f" && systemctl --user enable --now {unit[2]}" if entry.original else ""
        again = _quiet(_run(owner_of(entry.id), f"systemctl --user daemon-reload{start}"))
    elif (unit := _SYSTEM_UNIT.fullmatch(entry.id)) and entry.kind == "file":
        steps.append(_quiet(f"systemctl disable --now {unit[1]}"))
        again = _quiet(f"systemctl daemon-reload && systemctl enable --now {unit[1]}") if entry.original else ""
    if entry.kind == "file" and entry.hash:
        # Somebody wrote into it since: a copy stays beside the originals.
        kept = shlex.quote(f"{manifest.original_path('file', entry.id)}.edited")
        same = f"[ \"$(sha256sum < {path})\" = '{entry.hash}  -' ]"
        steps.append(f"if [ -f {path} ] && [ ! -L {path} ] && ! {same}; then cp -a {path} {kept}; fi")
    steps.append(_as(entry.id, f"rm -f {path}"))
    if entry.original:
        steps.append(give_back(entry.id, entry.original))
    if again:
        steps.append(again)
    return " && ".join(f"{{ {step}; }}" for step in steps)


def _stopped(unit: str) -> str:
    """Return shell that ends a unit of the user's own manager, with what it noted of its start, and its state."""
    noted = f'"$XDG_RUNTIME_DIR/{unit}.inputs" "$XDG_RUNTIME_DIR/{unit}.refused"'
    return f"systemctl --user disable --now {unit}; rm -f {noted}; systemctl --user clean --what=state {unit}"


def give_back(path: str, original: str) -> str:
    """Return shell that puts the kept `original` (file, link or directory) back to `path`, as the home's owner."""
    user, new = owner_of(path), shlex.quote(f"{path}.signalbox-new")
    place = f"cp -a -T {_STAGE}/original {new} && mv -fT {new} {shlex.quote(path)}"
    own = f" && chown -R -h {user}: {_STAGE}/original" if user != "root" else ""
    return (
        f"if [ -e {shlex.quote(original)} ] || [ -L {shlex.quote(original)} ]; then rm -rf {_STAGE}"
        f" && install -d -m 711 {_STAGE} && cp -a -T {shlex.quote(original)} {_STAGE}/original{own}"
        f" && {{ {_as(path, place)}; }} && rm -rf {_STAGE} {shlex.quote(original)}; fi"
    )


def _line(entry: Entry) -> str:
    path, new, line = shlex.quote(entry.id), shlex.quote(f"{entry.id}.signalbox-new"), shlex.quote(entry.hash)
    empty = f" && {{ [ -s {path} ] || rm -f {path}; }}" if entry.original is None else ""
    script = (
        f"if [ -f {path} ]; then rm -f {new} && {{ grep -vxF {line} {path} || true; }} > {new}"
        f" && chmod --reference={path} {new} && mv -fT {new} {path}{empty}; fi"
    )
    forget = f"rm -f {shlex.quote(entry.original)}" if entry.original else "true"
    return f"{{ {_as(entry.id, script)}; }} && {forget}"


def _key(entry: Entry) -> str:
    account, _, key = entry.id.partition(":")
    path = f"{Account.named(account).home}/.ssh/authorized_keys"
    script = (
        f"if [ -f {path} ]; then umask 077; {{ grep -vF {shlex.quote(key)} {path} || true; }} > {path}.signalbox-new"
        f" && mv -fT {path}.signalbox-new {path}; fi"
    )
    return f"{{ {_as(path, script)}; }}"


def _tool(entry: Entry) -> str:
    tool, _, account = entry.id.partition(" of ")
    if not account:
        return f"rm -rf /usr/local/lib/signalbox/{tool}-*"
    share = f"{Account.named(account).home}/.local/share"
    version = entry.hash.partition(" ")[0]
    paths = f"{share}/mise/installs/{tool}/{version or '*'}" if tool == "node" else f"{share}/signalbox/{tool}-*"
    return f"{{ {_as(f'{share}/', f'rm -rf {paths}')}; }}"


# The users and groups that $gone come with: Debian leaves those of a purged package to the administrator.
_ACCOUNTS = (
    "for p in $gone; do"
    " dpkg -L $p | grep -s '^/usr/lib/sysusers.d/' | xargs -r sed -n 's/^[ug]!\\? *\\([a-z_][a-z0-9_-]*\\) .*/\\1/p';"
    " sed -n 's/.*add\\(group\\|user\\) --system \\([a-z_][a-z0-9_-]*\\).*/\\2/p' /var/lib/dpkg/info/$p.postinst;"
    " done 2>/dev/null | sort -u"
)
# Those that no other package speaks of, and groups that nobody was put into.
_NO_ACCOUNTS = (
    "for n in $accounts; do grep -qsw -e $n /usr/lib/sysusers.d/*.conf /var/lib/dpkg/info/*.postinst && continue;"
    ' userdel $n; [ -n "$(getent group $n | cut -d: -f4)" ] || groupdel $n; done >/dev/null 2>&1'
)
# Services whose package did not stop them, such as unattended-upgrades, or took their program from under them, such as
# apt-listchanges: systemd would remember these as failed.
_WITHOUT_FILE = (
    "systemctl --plain --no-legend list-units --type=service --state={} | awk '$2 == \"not-found\" {{print $1}}'"
)
_NO_ORPHANS = (
    f"{_WITHOUT_FILE.format('active,activating')} | xargs -r systemctl stop;"
    f" {_WITHOUT_FILE.format('failed')} | xargs -r systemctl reset-failed"
)


def _packages(entries: list[Entry]) -> str:
    """What only our packages needed goes with them; what somebody else's need stays, and is not ours any more."""
    names = " ".join(shlex.quote(entry.id) for entry in entries)
    options = "-o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false"
    orphans = f"apt-get -s {options} autoremove 2>/dev/null | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p' | sort"
    forget = "; ".join(manifest.forget(entry.kind, entry.id) for entry in entries)
    return (
        "export DEBIAN_FRONTEND=noninteractive LC_ALL=C; t=$(mktemp -d)"
        f" && {{ {orphans}; }} > $t/before && {{ apt-mark auto {names} >/dev/null 2>&1 || true; }}"
        f" && {{ {orphans}; }} > $t/after && gone=$(comm -13 $t/before $t/after) && rm -r $t"
        f' && if [ -n "$gone" ]; then accounts=$({_ACCOUNTS}) && apt-get -y -q -o DPkg::Lock::Timeout=600 purge $gone'
        f" && {{ {_NO_ACCOUNTS}; {_NO_ORPHANS}; }}; fi"
        f" && {{ {forget}; }}"
    )


def _subids(entry: Entry) -> str:
    if entry.original:  # from useradd, or a person's: they stay as long as the user does
        return "true"
    return f"sed -i '/^{entry.id}:{entry.hash or '[0-9]*'}:65536$/d' /etc/subuid /etc/subgid"


def _linger(account: str) -> str:
    stop = f"loginctl disable-linger {account} && systemctl stop user@$(id -u {account}).service"
    return f"if id -u {account} >/dev/null 2>&1; then {stop}; fi"


def _user(account: str) -> str:
    home = Account.named(account).home
    return (
        f"if id -u {account} >/dev/null 2>&1; then {{ {_linger(account)}; }}"
        f" && {{ pkill -KILL -u {account} || true; }} && userdel {account} && rm -rf {home}; fi"
    )
