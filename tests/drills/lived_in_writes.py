"""Single writes into what is a person's, where the disk is full or a helper program fails."""

from __future__ import annotations

from collections.abc import Iterable

from tests.drills import looks
from tests.drills.deployment import Run, Running, Site
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import Stage, lab_host
from tests.lab import hosts
from tests.lab.instance import Lab

FULL = lab_host("full")
_ACCOUNT = "account='claude', home='/home/claude'"
# Operations that write into a home.
WRITES = {
    "line": "first_line(path='/home/claude/.profile', line='# ours', user='claude')",
    "line of a file of two names": "first_line(path='/home/claude/.zprofile', line='# ours', user='claude')",
    "line by a link": "first_line(path='/home/claude/.bashrc', line='# ours', user='claude')",
    "keys": f"authorized_keys({_ACCOUNT}, keys=['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'])",
    "file": "file(path='/home/claude/theirs', content='ours\\n', user='claude')",
    "shells": f"shells_without(names=['claude-local'], files=[], {_ACCOUNT})",
}
# Those that root keeps a copy for first, of files, links and programs; its own state has no room.
KEEPING = {
    "root's file": "file(path='/etc/theirs.conf', content='ours\\n')",
    "file of a home, kept by root": "file(path='/home/claude/theirs', content='ours\\n', user='claude')",
    "link": "link(path='/home/claude/bin/theirs', target='/bin/true', user='claude')",
    "file set aside": "file_set_aside(path='/home/claude/aside')",
    "root's file, on a full disk": "file(path='/srv/small/theirs.conf', content='ours\\n')",
}
_SUMS = (
    "cd /home/claude && find . ! -name filling ! -path './.ssh' ! -path . | sort && readlink .bashrc"
    " && [ .zprofile -ef dotfiles/zprofile ] && sha256sum .bashrc .profile theirs aside bin/* dotfiles/* .ssh/*"
    " /etc/theirs.conf /srv/small/theirs.conf"
)
_SMALL = "install -d {0} && mount -t tmpfs -o size=1M,mode={1} tmpfs {0}"
_FILL = "dd if=/dev/zero of={0}/filling bs=4k 2>/dev/null || true"
_MADE = f"""
set -eu
useradd -M -d /home/claude -s /bin/bash claude
{_SMALL.format("/home/claude", "700,uid=$(id -u claude),gid=$(id -g claude)")}
{_SMALL.format("/srv/small", "755")}
cd /home/claude && mkdir -m 700 .ssh dotfiles bin
{{ echo 'claude-local() {{ claude; }}'; seq 2000; }} > dotfiles/bashrc && ln -s dotfiles/bashrc .bashrc
seq 2000 > dotfiles/zprofile && ln dotfiles/zprofile .zprofile
seq 2000 > .profile && seq 2000 > theirs && seq 200 > aside && echo 'ssh-ed25519 BBBB theirs' > .ssh/authorized_keys
echo '#!/bin/sh' > bin/theirs
seq 2000 | tee /etc/theirs.conf > /srv/small/theirs.conf
chown -R -h claude: .
"""


def _run(site: Site, calls: Iterable[str], more: str = "") -> Run:
    """Run operations as a deploy of their own."""
    path = Lab.current().state / "one.py"
    lines = "".join(f"operations.{call.removesuffix(')')}{more})\n" for call in calls)
    path.write_text(f"from signalbox import operations\n{lines}")
    return Running(site.inventory(), ["-y", "--json"], {}, str(path)).wait()


def _as_root(command: str) -> str:
    return looks.answer(command, host=FULL, user="root")


def full_disk(stage: Stage) -> Figures:
    """On a full disk each of eleven writes fails, and leaves a person's files as they were, byte for byte."""
    stage.bare(FULL)
    hosts.run(FULL, _MADE)
    site = stage.site(FULL)
    hosts.run(FULL, _FILL.format("/home/claude"))
    before = _as_root(_SUMS)

    def untouched() -> None:
        now = _as_root(_SUMS)
        assert now == before, f"{before}\n→\n{now}"

    def fails(what: str, call: str) -> None:
        run = _run(site, [call])
        assert run.status != 0, f"{what}: {run.stderr[-1500:]}"
        untouched()

    for what, call in WRITES.items():
        fails(what, call)
    # As a deploy of old did it.
    old = "cd /home/claude && p=.profile && { { printf '# ours\\n'; grep -v x $p || true; } > $p.new && mv $p.new $p; }"
    hosts.run(FULL, "cp -p /home/claude/.profile /root/profile")
    hosts.run(FULL, old, check=False)
    control = must_fail(untouched, "a pipe whose failure is hidden")
    hosts.run(FULL, "cd /home/claude && rm filling .profile* && cp -p /root/profile .profile && chown claude: .profile")
    untouched()
    hosts.run(FULL, f"{_SMALL.format('/var/lib/signalbox', '755')} && {_FILL.format('/var/lib/signalbox')}")
    hosts.run(FULL, _FILL.format("/srv/small"))
    for what, call in KEEPING.items():
        fails(what, call)
    hosts.run(FULL, "umount /var/lib/signalbox && rm /srv/small/filling")
    calls = {**WRITES, **KEEPING}
    changed = len(_run(site, calls.values()).ok().changed(FULL))
    assert changed == len(calls) - 1, changed  # one file is in both
    stage.discard(FULL)
    return {"writes": ", ".join(calls), "on a full disk": "fail, and change nothing", "with room": "pass",
            "control": control}  # fmt: skip


# Each fails at once, or, of those through which a file passes, after its first bytes.
FAIL = (
    "mv", "cp", "chmod", "chgrp", "sync", "mkdir", "mktemp", "readlink", "rm", "rmdir", "ln", "install", "setpriv",
    "timeout", "head", "base64", "dd", "sha256sum", "find", "id", "perl", "stat",
)  # fmt: skip
BREAK_OFF = ("cat", "grep", "awk", "tar", "sed")
TAKEN = "taken_away(kinds=('link', 'file', 'line', 'aside', 'key', 'directory'))"
# What a person's files may be meanwhile: as they were, with what is ours beside it, or kept whole by root.
_WHOLE = r"""
cd /home/claude
check() { [ "$(sha256sum < "$2" 2>/dev/null)" = "$(sha256sum < /root/were/"$1")" ] || echo "$1"; }
lines() { grep -vxF -e '# ours' -e "$3" "$2" > /root/now; check "$1" /root/now; }
kept() { t=$(mktemp -d); for f in "$2" /var/lib/signalbox/originals/*; do
    tar -C "$t" -xf "$f" 2>/dev/null; for g in "$f" "$t"/*; do [ -z "$(check "$1" "$g")" ] && return; done; done
    echo "$1"; }
[ "$(readlink .bashrc)" = dotfiles/bashrc ] || echo link
grep -vxF 'claude-local() { claude; }' /root/were/bashrc > /root/were/rest
grep -vxF 'claude-local() { claude; }' dotfiles/bashrc > /root/shell; lines rest /root/shell -
lines profile .profile -
lines zprofile .zprofile -; [ .zprofile -ef dotfiles/zprofile ] || echo torn
lines keys .ssh/authorized_keys 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA'
kept theirs theirs; kept aside aside; kept program bin/theirs; kept conf /etc/theirs.conf
"""
_WERE = (
    "mkdir /root/were && cd /home/claude && cp dotfiles/bashrc dotfiles/zprofile .profile theirs aside /root/were"
    " && mv /root/were/.profile /root/were/profile && cp .ssh/authorized_keys /root/were/keys"
    " && cp bin/theirs /root/were/program && cp /etc/theirs.conf /root/were/conf"
)


# What was taken out of shell files stays out, with a copy beside them.
_GIVEN_BACK = (
    "cd /home/claude && readlink .bashrc"
    " && sha256sum .profile .zprofile theirs aside bin/theirs .ssh/authorized_keys /etc/theirs.conf"
)


def _whole() -> None:
    lost = hosts.run(FULL, _WHOLE, check=False)
    assert not lost.stdout, f"not whole: {lost.stdout.split()} {lost.stderr[-500:]}"


def _broken(site: Site, program: str, how: str, calls: Iterable[str]) -> bool:
    """Run all while one program of the host fails; return whether a run or an operation said so."""
    _as_root(f"printf '#!/bin/sh\\n%s\\nexit 1\\n' {looks.quoted(how)} > /opt/broken && chmod 755 /opt/broken"
             f" && cp -L /usr/bin/{program} /opt/real && mount --bind /opt/broken /usr/bin/{program}")  # fmt: skip
    try:
        run = _run(site, calls, ", _ignore_errors=True")
    finally:
        sound = f"/usr/bin/umount -l $(/usr/bin/realpath /usr/bin/{program})"
        hosts.run(FULL, sound)
    _whole()
    return run.status != 0 or bool(run.failing(FULL)) or "Error (ignored)" in run.stderr


def helpers(stage: Stage) -> Figures:
    """Whichever helper program of the host fails, a person's files stay whole; sound again, all is done and undone."""
    stage.bare(FULL)
    hosts.run(FULL, _MADE)
    hosts.run(FULL, _WERE)
    _as_root("apt-get -q update >/dev/null; command -v perl >/dev/null")
    before, site = _as_root(_GIVEN_BACK), stage.site(FULL)
    calls = [*WRITES.values(), *(call for call in KEEPING.values() if "small" not in call)]
    said = [program for program in FAIL if _broken(site, program, ":", [*calls, TAKEN])]
    said += [program for program in BREAK_OFF if _broken(site, program, '/opt/real "$@" | head -c 7', [*calls, TAKEN])]
    silent = sorted({*FAIL, *BREAK_OFF} - set(said))
    _run(site, calls).ok()
    _whole()
    assert not _run(site, calls).ok().changed(FULL)
    # As a deploy of old did it, with grep broken.
    hosts.run(FULL, "cp -p /home/claude/.profile /root/profile")
    hosts.run(FULL, "cd /home/claude && { { grep -v x .profile | head -c 7 || true; } > new && mv new .profile; }")
    control = must_fail(_whole, "a pipe whose failure is hidden")
    hosts.run(FULL, "cp -p /root/profile /home/claude/.profile")
    _run(site, [TAKEN]).ok()
    now = _as_root(_GIVEN_BACK)
    assert now == before, f"{before}\n→\n{now}"
    _whole()
    stage.discard(FULL)
    return {"fails": ", ".join(FAIL), "breaks off": ", ".join(BREAK_OFF), "not needed": ", ".join(silent) or "none",
            "undone": "as before, byte for byte", "control": control}  # fmt: skip
