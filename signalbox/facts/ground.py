"""What a machine gives to what we bring: its processor, ids, namespaces, file systems and users, in one command."""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.desired.ground import ALL_IDS, GroundState, Login, Mount
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, number, records

# File systems of their own, if they are: where files of ours lie.
_PLACES = ("/usr", "/usr/local", "/etc", "/var", "/home")
_USERNS = ("user.max_user_namespaces", "kernel.unprivileged_userns_clone")
# keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), which makes nothing: EPERM and ENOSYS are of who forbids
# the call itself.
_KEYCTL = (
    'my %nr = ("x86_64", 250, "aarch64", 219); require POSIX; my $nr = $nr{(POSIX::uname())[4]} or exit 0;'
    "exit 0 if syscall($nr, 0, -3, 0) >= 0; exit($! == 1 || $! == 38 ? 1 : 0)"
)


class Ground(HostFact[GroundState]):
    """What the machine gives; `users`: names that settings have."""

    def command(self, users: Sequence[str]) -> Script:
        """Return the command."""
        return asked(
            each_of(
                sh("printf 'cpu\\0%s\\0' \"$(grep -m 1 '^flags' /proc/cpuinfo)\""),
                sh("printf 'page\\0%s\\0' \"$(getconf PAGESIZE)\""),
                sh("printf 'ids\\0'; cat /proc/self/uid_map; printf '\\0ids\\0'; cat /proc/self/gid_map; printf '\\0'"),
                sh(
                    "for k in {}; do f=/proc/sys/$(echo $k | tr . /);"
                    " [ ! -r $f ] || {{ printf 'userns\\0%s\\0' $k; cat $f; printf '\\0'; }}; done",
                    _USERNS,
                ),
                sh("{{ [ -c /dev/net/tun ] && ( : <> /dev/net/tun ); }} || printf 'without\\0tun\\0'"),
                sh("env -i /usr/bin/perl -e {} || printf 'without\\0keyctl\\0'", _KEYCTL),
                sh("printf 'container\\0%s\\0' \"$(systemd-detect-virt --container)\""),
                sh(
                    "while read -r _ _ _ _ at options rest; do case $at in /proc) printf 'proc\\0%s\\0'"
                    ' "$options,${{rest##* }}";; esac; done < /proc/self/mountinfo'
                ),
                sh(
                    "for p in {}; do while read -r _ _ _ _ at options _; do [ $at != $p ] ||"
                    " printf 'mount\\0%s\\0%s\\0%s\\0' $p $options"
                    ' "$(df -BM --output=avail $p | tail -n1 | tr -cd 0-9)"; done < /proc/self/mountinfo; done',
                    _PLACES,
                ),
                sh(
                    'for u in {}; do p=$(getent passwd $u) && {{ l=; ! grep -q "^$u:" /etc/passwd || l=yes;'
                    ' p=${{p%:*}}; printf \'user\\0%s\\0%s\\0%s\\0\' $u "${{p##*:}}" "$l"; }};'
                    " ! getent group $u >/dev/null || printf 'group\\0%s\\0' $u;"
                    ' sed -n "s/^$u:\\([0-9]*\\):\\([0-9]*\\)$/\\1 \\2/p" /etc/subuid /etc/subgid 2>/dev/null |'
                    " while read -r a n; do printf 'subids\\0%s\\0' $((a + n)); done; done",
                    users,
                ),
            )
        )

    default = GroundState

    def process(self, output: list[str]) -> GroundState:
        """Read the records."""
        shapes = {"cpu": 1, "page": 1, "ids": 1, "userns": 2, "without": 1, "container": 1, "proc": 1, "mount": 3,
                  "user": 3, "group": 1, "subids": 1}  # fmt: skip
        told = list(records(output, shapes))
        one = {record[0]: record[1] for record in told}
        without = {record[1] for record in told if record[0] == "without"}
        return GroundState(
            cpu=frozenset(one.get("cpu", "").partition(":")[2].split()),
            page=number(one.get("page") or "4096"),
            ids=min((_total(record[1]) for record in told if record[0] == "ids"), default=ALL_IDS),
            userns={record[1]: number(record[2].strip()) for record in told if record[0] == "userns"},
            tun="tun" not in without,
            keyctl="keyctl" not in without,
            container=one.get("container") or "none",
            proc=frozenset(one.get("proc", "").split(",")),
            mounts=tuple(
                Mount(record[1], frozenset(record[2].split(",")), number(record[3] or "0"))
                for record in told
                if record[0] == "mount"
            ),
            users={record[1]: Login(record[2], record[3] == "yes") for record in told if record[0] == "user"},
            groups=tuple(record[1] for record in told if record[0] == "group"),
            subids_end=max((number(record[1]) for record in told if record[0] == "subids"), default=0),
        )


def _total(id_map: str) -> int:
    """Return where the ids end that a map of user_namespaces(7) has from 0 on."""
    rows = sorted((number(words[0]), number(words[2])) for words in map(str.split, id_map.splitlines()) if words)
    end = 0
    for first, count in rows:
        if first > end:
            break
        end = max(end, first + count)
    return end
