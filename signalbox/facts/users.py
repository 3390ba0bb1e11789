"""Users and what runs in their systemd managers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from signalbox.desired.ground import FIRST_SUBID, SUBIDS
from signalbox.facts.look import SHAPES, Look, looks
from signalbox.facts.placed import entry_of, show_entries
from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, claim, fields, number, records, said_by, text_of
from signalbox.shell.manifest import Entry


@dataclass(frozen=True)
class UserState:
    """A user as the host knows it; `exists` False: nothing else is meaningful, but for `group`.

    group: the id of the group with its name, "" where there is none.

    expires: of an account that has expired, when that was, in days since 1970.
    subuids, subgids: how many it has; first_subid, first_subgid: where they begin, "" without any; subids_entry: what
    the manifest says of that. uids: all user ids by which it can do a thing: its own, and those that newuidmap gives
    it, whether its owner's name or number stands beside them or another source of nsswitch.conf has them.
    free_subids: where a range of SUBIDS may begin that nobody else has: the one in the manifest, if it is free,
    because files in the user's containers belong to those ids.
    """

    exists: bool = False
    group: str = ""
    uid: int = -1
    home: str = ""
    shell: str = ""
    groups: tuple[str, ...] = ()
    has_password: bool = False
    expired: bool = False
    expires: str = ""
    subuids: int = 0
    subgids: int = 0
    first_subid: str = ""
    first_subgid: str = ""
    uids: tuple[range, ...] = ()
    subids_entry: Entry | None = None
    free_subids: int = FIRST_SUBID
    linger: bool = False
    bus: bool = False
    authorized_keys: tuple[str, ...] = ()


def _ranges(lines: Iterable[str]) -> Iterator[tuple[str, range]]:
    """Yield owner and ids of each well-formed line of /etc/subuid or /etc/subgid."""
    for line in lines:
        owner, _, ids = line.partition(":")
        first, _, count = ids.partition(":")
        if all(each.isascii() and each.isdigit() and len(each) <= 10 for each in (first, count)):
            yield owner, range(int(first), int(first) + int(count))


def _free(name: str, ranges: Sequence[tuple[str, range]], entry: Entry | None) -> int:
    others = [ids for owner, ids in ranges if owner != name]
    if entry and entry.hash.isdigit():
        had = int(entry.hash)
        if all(ids.stop <= had or had + SUBIDS <= ids.start for ids in others):
            return had
    return max([FIRST_SUBID, *(ids.stop for _, ids in ranges)])


class User(HostFact[UserState]):
    """All that tasks ask about one user, in one command."""

    def command(self, user: str) -> Script:
        """Return the command."""
        keys = Look("text", user, sh('"$home"/.ssh/authorized_keys'))
        return asked(
            sh(
                "passwd=$(getent passwd {user}); home=${{passwd%:*}}; home=${{home##*:}};"
                " printf 'passwd\\0%s\\0' \"$passwd\"; printf 'groups\\0%s\\0' \"$(id -Gn {user})\";"
                " g=$(getent group {user}) && {{ g=${{g%:*}}; printf 'group\\0%s\\0' \"${{g##*:}}\"; }};"
                " shadow=$(getent shadow {user}); case $shadow in {user}:\\$*) printf 'has\\0password\\0';; esac;"
                " e=${{shadow%:*}}; e=${{e##*:}};"
                ' [ -z "$e" ] || [ "$e" -gt $(($(date +%s) / 86400)) ]'
                " || printf 'has\\0expired\\0expires\\0%s\\0' \"$e\";"
                " printf 'subuid\\0'; cat /etc/subuid; printf '\\0subgid\\0'; cat /etc/subgid;"
                " printf '\\0known\\0'; getsubids {user}; printf '\\0';"
                " {entry};"
                " [ ! -e /var/lib/systemd/linger/{user} ] || printf 'has\\0linger\\0';"
                " [ ! -S /run/user/\"$(id -u {user})\"/bus ] || printf 'has\\0bus\\0';"
                ' [ -z "$home" ] || {keys}',
                user=user,
                entry=show_entries("subids", [user]),
                keys=looks([keys]),
            )
        )

    default = UserState

    def process(self, output: list[str]) -> UserState:
        """Read the records."""
        tags = ("passwd", "groups", "group", "has", "expires", "subuid", "subgid", "known")
        shapes = {**SHAPES, **dict.fromkeys(tags, 1)}
        told = list(records(output, shapes))
        values = {record[0]: record[1] for record in told if record[0] != "has"}
        has = {record[1] for record in told if record[0] == "has"}
        group = values.get("group", "")
        if not values.get("passwd"):
            return UserState(group=group)
        words = values["passwd"].split(":")
        if len(words) != 7:
            raise UnreadableError("the host told something else than a user")
        name, _, uid, _, _, home, shell = words
        entry = next((entry_of("subids", name, record[2]) for record in told if record[0] == "entry"), None)
        ranges = {kind: list(_ranges(values.get(kind, "").split("\n"))) for kind in ("subuid", "subgid")}
        # "0: claude 100000 65536": once the package uidmap is there.
        listed = [":".join(line.split()[1:]) for line in values.get("known", "").split("\n")]
        uids = {ids for owner, ids in (*ranges["subuid"], *_ranges(listed)) if owner in (name, uid)}
        texts = [text_of(record[2]) for record in told if record[0] == "text"]
        return UserState(
            exists=True,
            group=group,
            uid=number(uid),
            home=home,
            shell=shell,
            groups=tuple(values.get("groups", "").split()),
            has_password="password" in has,
            expired="expired" in has,
            expires=values.get("expires", ""),
            subuids=sum(len(ids) for owner, ids in ranges["subuid"] if owner == name),
            subgids=sum(len(ids) for owner, ids in ranges["subgid"] if owner == name),
            first_subid=next((str(ids.start) for owner, ids in ranges["subuid"] if owner == name), ""),
            first_subgid=next((str(ids.start) for owner, ids in ranges["subgid"] if owner == name), ""),
            uids=(range(number(uid), number(uid) + 1), *sorted(uids, key=lambda ids: (ids.start, ids.stop))),
            subids_entry=entry,
            free_subids=_free(name, [*ranges["subuid"], *ranges["subgid"]], entry),
            linger="linger" in has,
            bus="bus" in has,
            authorized_keys=tuple(texts[0].split("\n")) if texts else (),
        )


class UserCommand(HostFact[list[str]]):
    """The lines that a read-only command prints as a user; [] where the user or the program is missing."""

    def command(self, user: str, home: str, script: Script) -> Script:
        """Return the command."""
        return asked(said_by(user, home, script))

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the lines; docker prints an empty one where it found nothing."""
        return [line for each in fields(output) for line in claim(each).split("\n") if line]
