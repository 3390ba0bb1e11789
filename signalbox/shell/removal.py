"""How each kind of thing in the manifest is taken away again, and what it replaced is given back.

What lies in a user's home is touched with that user's rights alone (see run_as.as_owner).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator

from signalbox.settings.account import Account
from signalbox.shell import Script, all_of, each_of, manifest, sh
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
from signalbox.shell.run_as import run_as

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


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries in the order in which their things can go; those of unknown kinds last."""

    def place(entry: Entry) -> tuple[int, bool, int, str]:
        rank = ORDER.index(entry.kind) if entry.kind in ORDER else len(ORDER)
        unit = bool(_USER_UNIT.fullmatch(entry.id) or _SYSTEM_UNIT.fullmatch(entry.id))
        if unit and not entry.id.endswith("/docker.service"):
            rank = -1  # before what they need: images, files
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
            yield _packages(packages)
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
        "image": lambda: _quiet(_run(account, sh("docker image rm --force {}", rest))),
        "tool": lambda: _tool(entry),
        "aside": lambda: _aside(entry),
        "sysctl": lambda: _sysctl(entry),
        "container": lambda: _run(account, _as_it_was(entry, rest)),
        "replaced": lambda: _again(entry),
        "stopped": lambda: _started(entry),
        "linger": lambda: _linger_on(account) if entry.hash == "off" else _linger(account),
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
        "subids": lambda: _subids(entry),
        "user": lambda: _user(account) if account in users else nothing,
    }
    return how.get(entry.kind, lambda: nothing)()


def _run(user: str, script: Script) -> Script:
    return sh("if id -u {} >/dev/null 2>&1; then {}; fi", user, run_as(user, Account.named(user).home, script))


def _aside(entry: Entry) -> Script:
    """Give back what was set aside, unless somebody has put something else there."""
    back = give_back(entry.id, entry.original) if entry.original else sh("true")
    return sh("if [ ! -e {path} ] && [ ! -L {path} ]; then {}; fi", back, path=entry.id)


def _as_it_was(entry: Entry, container: str) -> Script:
    return sh(
        "command -v docker >/dev/null || exit 0; found=$(docker container ls --all --quiet --filter {filter}) &&"
        ' {{ [ -z "$found" ] || {{ docker container update --restart={policy} {name}'
        " && docker container start {name}; }} >/dev/null; }}",
        filter=f"name=^/{container}$",
        policy=entry.original or "no",
        name=container,
    )


def _quiet(command: Script) -> Script:
    return sh("{{ {{ {}; }} >/dev/null 2>&1 || true; }}", command)


def _path(entry: Entry) -> Script:
    steps: list[Script] = []
    again: Script | None = None  # a unit that was there before ours runs again
    if unit := _USER_UNIT.fullmatch(entry.id):
        steps.append(_quiet(_run(owner_of(entry.id), _stopped(unit[2]))))
        start = sh(" && systemctl --user enable --now {}", unit[2]) if entry.original else Script("")
        again = _quiet(_run(owner_of(entry.id), sh("systemctl --user daemon-reload{}", start)))
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


def _stopped(unit: str) -> Script:
    """Return shell that ends a unit of the user's own manager, with what it noted of its start, and its state."""
    return sh(
        'systemctl --user disable --now {unit}; cd "$XDG_RUNTIME_DIR" && rm -f {unit}.inputs {unit}.refused;'
        " systemctl --user clean --what=state {unit}",
        unit=unit,
    )


def _started(entry: Entry) -> Script:
    """Return shell that starts a unit of the system's again, and what of root's Docker ran in it; one may be gone.

    ACCOUNT:UNIT: the same of a user's own manager, where that is there.
    """
    account, _, of_user = entry.id.partition(":")
    if of_user:
        return _run(account, _started_by_user(of_user, entry.hash.split()))
    docker = sh("docker -H unix:///run/docker.sock start {} >/dev/null", entry.hash.split())
    return sh(
        "{{ systemctl daemon-reload;"
        " if systemctl cat {unit} >/dev/null 2>&1; then systemctl start {unit}{then}; fi; }}",
        unit=entry.id,
        then=sh(" && {}", docker) if entry.hash else Script(""),
    )


def _started_by_user(unit: str, containers: list[str]) -> Script:
    """Return shell that starts the unit, unless its program has gone since, and these containers."""
    docker = sh(" && docker start {} >/dev/null", containers) if containers else Script("")
    return sh(
        'if [ -S "$XDG_RUNTIME_DIR"/bus ]; then systemctl --user daemon-reload;'
        ' p=$(systemctl --user show -p ExecStart --value {unit} | sed -n {path}); if [ -x "$p" ]; then'
        " systemctl --user start {unit}{docker}; fi; fi",
        unit=unit,
        docker=docker,
        path="s/.* path=\\([^ ;]*\\) .*/\\1/p",
    )


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


def _tool(entry: Entry) -> Script:
    tool, _, account = entry.id.partition(" of ")
    if not account:
        return sh("rm -rf --one-file-system /usr/local/lib/signalbox/{}-*", tool)
    share = f"{Account.named(account).home}/.local/share"
    version = entry.hash.partition(" ")[0]
    if tool == "node":
        node = f"{share}/mise/installs/node"
        each = sh("{}/{}", node, version or Script("*"))
        gone = sh(
            'for d in {}; do if [ -z "$({})" ]; then rm -rf --one-file-system $d; else {}; fi; done',
            each,
            _npm_has(sh("$d")),
            _NO_NODE,
        )
    else:
        gone = sh("rm -rf --one-file-system {}/signalbox/{}-*", share, tool)
    return sh("{{ {}; }}", owned(f"{share}/", gone))


def _npm_has(directory: Script) -> Script:
    """Return shell that prints which packages npm has installed below a Node's directory, beside Node's own."""
    return sh(
        "for p in {d}/lib/node_modules/* {d}/lib/node_modules/@*/*; do"
        " case ${{p##*/}} in npm|corepack|@*|'*') ;; *) [ ! -e $p ] || echo ${{p#*/lib/node_modules/}};; esac; done",
        d=directory,
    )


# What Node's archive has; what npm -g has installed beside it is the person's.
_NO_NODE = sh(
    "rm -rf --one-file-system $d/bin/node $d/bin/npm $d/bin/npx $d/bin/corepack"
    " $d/lib/node_modules/npm $d/lib/node_modules/corepack"
    " $d/include $d/share/doc/node $d/share/man/man1/node.1 $d/CHANGELOG.md $d/LICENSE $d/README.md"
)


def npm_packages(entry: Entry) -> Script:
    """Return shell, for its owner, that prints which packages of npm -g a tool of a user's holds."""
    share = f"{Account.named(entry.id.partition(' of ')[2]).home}/.local/share"
    return _npm_has(sh("{}/mise/installs/node/{}", share, entry.hash.partition(" ")[0] or Script("*")))


# The users and groups that $gone come with: Debian leaves those of a purged package to the administrator.
_ACCOUNTS = sh(
    "for p in $gone; do"
    " dpkg -L $p | grep -s '^/usr/lib/sysusers.d/' | xargs -r sed -n 's/^[ug]!\\? *\\([a-z_][a-z0-9_-]*\\) .*/\\1/p';"
    " sed -n 's/.*add\\(group\\|user\\) --system \\([a-z_][a-z0-9_-]*\\).*/\\2/p' /var/lib/dpkg/info/$p.postinst;"
    " done 2>/dev/null | sort -u"
)
# Those that were not there before us and no other package speaks of, and groups that nobody was put into: files of a
# person's may belong to another's number.
_NO_ACCOUNTS = sh(
    "for n in $accounts; do grep -qsw -e $n /usr/lib/sysusers.d/*.conf /var/lib/dpkg/info/*.postinst && continue;"
    " grep -qsxF -e $n {before} && continue;"
    ' userdel $n; [ -n "$(getent group $n | cut -d: -f4)" ] || groupdel $n; done >/dev/null 2>&1',
    before=manifest.BEFORE,
)
# Services whose package did not stop them, such as unattended-upgrades, or took their program from under them, such as
# apt-listchanges: systemd would remember these as failed.
_NO_ORPHANS = each_of(
    sh("systemctl --plain --no-legend list-units --type=service --state=active,activating"
       " | awk '$2 == \"not-found\" {{print $1}}' | xargs -r systemctl stop"),
    sh("systemctl --plain --no-legend list-units --type=service --state=failed"
       " | awk '$2 == \"not-found\" {{print $1}}' | xargs -r systemctl reset-failed"),
)  # fmt: skip


# Only on its purge, and of root's Docker, which never runs here for us: what lies there is a person's.
_NO_NUKE = sh("rm -f /var/lib/docker/nuke-graph-directory.sh")
# Of what a purge took from /etc: what was there before us comes back as it is, what somebody edited stays a copy. An
# empty file is none that somebody wrote: dh_apparmor has one made for each profile of a package.
_KEPT = sh(
    '( cd $t/etc && while IFS= read -r f; do p=/etc/${{f#./}}; [ ! -e "$p" ] && [ ! -L "$p" ] || continue;'
    ' if grep -qsxF -e "$p" {before}; then cp -a --parents "$f" /etc/ || exit 1;'
    ' elif [ ! -L "$f" ] && [ -s "$f" ] && ! grep -qxF -e "$p" $t/packaged && [ "${{p%.ucf-*}}" = "$p" ]; then'
    ' cp -a -T --backup=numbered "$f" {originals}/"package$(printf %s "$p" | tr / -)" || exit 1; fi; done < $t/were )',
    before=manifest.BEFORE,
    originals=manifest.ORIGINALS,
)
# A run that was killed meanwhile has left what it looked at.
_LOOKED = sh(
    "{{ [ -d $t/etc ] || {{ rm -rf --one-file-system $t/new && cp -a -x /etc $t/new"
    " && ( cd $t/new && find . -type f -o -type l ) > $t/were"
    " && dpkg-query -W -f {conffiles} $gone | awk {sums} > $t/sums"
    " && {{ cat /var/lib/ucf/hashfile >> $t/sums 2>/dev/null || true; }}"
    " && {{ md5sum --check $t/sums 2>/dev/null | sed -n 's/: OK$//p' > $t/packaged; }} && mv $t/new $t/etc; }}; }}",
    conffiles="${Conffiles}\\n",
    sums='NF > 1 {print $2 "  " $1}',
)


def _packages(entries: list[Entry]) -> Script:
    """What only our packages needed goes with them; what somebody else's need stays, and is not ours any more.

    One that had left its configuration here before keeps it: it is removed, and not purged.
    """
    orphans = sh(
        "{{ o=$(apt-get -s -o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false"
        " autoremove) && printf '%s\\n' \"$o\" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p' | sort; }}"
    )
    names = [entry.id for entry in entries]
    gone = sh(
        # As they came: a run that was killed in between may have marked them already.
        "{{ apt-mark manual {names} >/dev/null 2>&1 || true; }} && {orphans} > $t/before"
        " && {{ apt-mark auto {names} >/dev/null 2>&1 || true; }} && {orphans} > $t/after"
        " && {{ comm -13 $t/before $t/after && {configured}; }} > $t/new && sort -u -o $t/new $t/new"
        " && mv $t/new $t/gone",
        orphans=orphans,
        names=names,
        # What a package of ours gave way to has taken it away, but for its configuration and what its purge would do.
        configured=sh(
            "{{ dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {} 2>/dev/null || true; }}"
            " | awk '$2 == \"config-files\" {{print $1}}'",
            names,
        ),
    )
    had = [word for entry in entries if entry.original for word in ("-e", entry.id)]
    return sh(
        "export DEBIAN_FRONTEND=noninteractive LC_ALL=C; {make} && t={state}/purge"
        ' && {{ [ "$(cat $t/names 2>/dev/null)" = {key} ] || {{ rm -rf --one-file-system $t && install -d -m 700 $t'
        " && echo {key} > $t/names; }}; }}"
        # What a killed run has left half way: apt works nothing out before it is done.
        " && {{ timeout 120 sh -c 'until dpkg --configure -a; do sleep 2; done' >/dev/null 2>&1 || true; }}"
        " && {{ [ -e $t/gone ] || {{ {find}; }}; }} && gone=$(cat $t/gone)"
        ' && if [ -n "$gone" ]; then {{ [ -s $t/accounts ] || {{ {accounts}; }} > $t/accounts; }}'
        " && accounts=$(cat $t/accounts) && {look} && {apt} remove $gone && {no_nuke}"
        " && purged=$(printf '%s\\n' $gone | grep -vxF -e '' {had} || [ $? = 1 ])"
        ' && {{ [ -z "$purged" ] || {apt} purge $purged; s=$?; {kept} && [ $s = 0 ]; }}'
        " && {{ {no_accounts}; {no_orphans}; }}; fi"
        " && rm -rf --one-file-system $t && {{ {forget}; }}",
        make=manifest.MAKE,
        state=manifest.STATE,
        key=" ".join(names),  # what another run has left half way is of other packages
        find=gone,
        accounts=_ACCOUNTS,
        look=_LOOKED,
        apt=sh("apt-get -y -q -o DPkg::Lock::Timeout=600"),
        no_nuke=_NO_NUKE,
        had=had,
        kept=_KEPT,
        no_accounts=_NO_ACCOUNTS,
        no_orphans=_NO_ORPHANS,
        forget=each_of(*(manifest.forget(entry.kind, entry.id) for entry in entries)),
    )


def _again(entry: Entry) -> Script:
    """Install again what gave way to a package of ours: the version that was there, or else what apt has."""
    install = sh(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold"
        " --no-install-recommends install"
    )
    version, _, mark = entry.hash.partition(" ")
    then = sh("apt-mark {} {} >/dev/null", mark, entry.id) if mark else sh("true")
    return all_of(sh("{{ {} {} || {} {}; }}", install, f"{entry.id}={version}", install, entry.id), then)


def _subids(entry: Entry) -> Script:
    if entry.original:  # from useradd, or a person's: they stay as long as the user does
        return sh("true")
    line = f"^{re.escape(entry.id)}:{entry.hash or '[0-9]*'}:65536$"
    return sh("sed -i --follow-symlinks {} /etc/subuid /etc/subgid", f"/{line}/d")


def _linger_on(account: str) -> Script:
    """Return shell that has a user's services start at boot again, as it was before us."""
    return sh("if id -u {account} >/dev/null 2>&1; then loginctl enable-linger {account}; fi", account=account)


def _linger(account: str) -> Script:
    return sh(
        "if id -u {account} >/dev/null 2>&1; then loginctl disable-linger {account}"
        ' && systemctl stop user@"$(id -u {account})".service; fi',
        account=account,
    )


def mounts_below(home: str) -> Script:
    """Return shell that prints where something is mounted below `home`."""
    return sh("awk -v below={} {} /proc/self/mountinfo", f"{home}/", "index($5, below) == 1 {print $5}")


def _user(account: str) -> Script:
    # Before anything of it is gone: what is mounted there is somebody else's, and stands in the way of the rest.
    return sh(
        "if id -u {account} >/dev/null 2>&1; then {{ {linger}; }}"
        " && {{ pkill -KILL -u {account} || true; }} && there=$({mounts})"
        ' && {{ [ -z "$there" ] || {{ echo "unmount this first:" $there >&2; false; }}; }}'
        # The home may be a file system of its own: then its root stays, empty.
        " && {{ [ ! -d {home} ] || {{ find {home} -xdev -mindepth 1 -delete"
        " && {{ rmdir {home} || mountpoint -q {home}; }}; }}; }} && userdel {account}; fi",
        mounts=mounts_below(Account.named(account).home),
        account=account,
        linger=_linger(account),
        home=Account.named(account).home,
    )
