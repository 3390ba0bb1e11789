"""What earlier settings asked for goes; what is wanted is never taken away."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from signalbox.desired.sshd import DROP_IN
from signalbox.facts.look import MAX_TEXT
from signalbox.settings.account import NOLOGIN
from signalbox.settings.layers import merge
from signalbox.shell.guard import GUARD
from signalbox.shell.manifest import Entry, entry_path, forget, original_path
from signalbox.shell.originals import original_of
from signalbox.shell.removal import ORDER, removal
from tests.answers import answered, claimed
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_plan_names import VARIANTS, carried_out

ORIGINAL = original_path("link", "/usr/local/bin/claude-solo")
OLD_UNIT = "/home/other/.config/systemd/user/old.service"


def recorded(seen: Deploy) -> set[tuple[str, ...]]:
    """What the deploy writes to the manifest, read from the commands it sent."""
    entries = set()
    for each in (each for each in seen.sent if "opendir" not in each["command"]):
        for line in re.findall(r'\{"hash": "[^{}]*\}|\{"kind": [^{}]*"original": null', each["command"]):
            found = {name: re.search(rf'"{name}": "([^"]*)"', line) for name in ("kind", "id")}
            entries.add(tuple(match[1] for match in found.values() if match))
    return entries


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_that_is_placed_is_wanted_and_can_be_taken_away(variant: str) -> None:
    seen = carried_out(variant)
    assert len(recorded(seen)) > 30
    # Otherwise every deploy would take it away again, and the next one place it.
    assert recorded(seen) - {(kind, ident) for kind, ident in seen.wanted} == set()
    assert {kind for kind, _ in recorded(seen)} - set(ORDER) == set()


def manifest(*entries: Entry, more: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Answer as a host that has these entries, and `more` files with a line each, in its manifest."""
    told = [(entry_path(entry.kind, entry.id), entry.to_json()) for entry in entries]
    fields = [field for path, line in (*told, *more) for field in ("entry", path.rpartition("/")[2], line)]
    return {"fake_responses": {f"{MAX_TEXT} entries": answered(*fields)}}


@functools.cache
def usual(settings: str) -> frozenset[str]:
    """The commands of a deploy with these settings, as JSON, to a host without a manifest."""
    return frozenset(each["command"] for each in deploy(json.loads(settings)).sent)


def with_manifest(*entries: Entry, settings: dict[str, Any] | None = None) -> list[str]:
    """Deploy to a host that has these entries; the commands that nothing but leftovers sends."""
    sent = deploy(merge(manifest(*entries), settings or {})).sent
    return [each["command"] for each in sent if each["command"] not in usual(json.dumps(settings or {}))]


def test_a_launcher_of_a_removed_lane_goes_and_its_original_comes_back() -> None:
    stale = Entry("link", "/usr/local/bin/claude-solo", "/usr/local/lib/signalbox/launch", ORIGINAL)
    wanted = Entry("link", "/usr/local/bin/claude-local", "/usr/local/lib/signalbox/launch")
    (command,) = with_manifest(stale, wanted)
    assert "rm -f /usr/local/bin/claude-solo" in command
    assert f"cp -a -T {ORIGINAL}" in command
    assert "claude-local" not in command


def test_a_unit_is_stopped_before_what_it_needs_goes() -> None:
    entries = [Entry("directory", "/home/other/.config/app"), Entry("file", "/home/other/.config/app/config"),
               Entry("linger", "other"), Entry("file", OLD_UNIT), Entry("image", "other:repo@sha256:1")]  # fmt: skip
    told = "\n".join(with_manifest(*entries))
    steps = ["disable --now old.service", "docker image rm", "rm -f /home/other/.config/app/config",
             "rmdir /home/other/.config/app", "loginctl disable-linger other"]  # fmt: skip
    assert [told.index(step) for step in steps] == sorted(told.index(step) for step in steps)


def test_a_user_stays() -> None:
    assert with_manifest(Entry("user", "other"), Entry("user", "claude"), Entry("linger", "claude")) == []


def test_linger_stays_while_something_of_the_user_is_wanted() -> None:
    assert with_manifest(Entry("linger", "claude"), settings={"service_user": {"enabled": False}}) == []


def test_the_users_keys_stay_as_it_does_when_its_section_is_off() -> None:
    keys = [Entry("key", f"claude:ssh-ed25519 {each}") for each in ("AAAA", "BBBB")]
    assert with_manifest(*keys, settings={"service_user": {"enabled": False}}) == []
    assert any("AAAA" in each for each in with_manifest(*keys))


def test_of_an_earlier_gateway_user_nothing_lingers() -> None:
    earlier = "/home/other/.config/systemd/user/litellm.service"
    told = "\n".join(with_manifest(Entry("file", earlier), Entry("linger", "other")))
    assert "systemctl --user disable --now litellm.service" in told
    assert "loginctl disable-linger other" in told


def test_a_section_that_is_switched_off_goes_from_the_host() -> None:
    entry = Entry("file", "/etc/signalbox/lanes.json", "0" * 64)
    (command,) = with_manifest(entry, settings={"launchers": {"enabled": False}})
    assert "rm -f /etc/signalbox/lanes.json" in command


def test_what_other_tasks_stand_on_stays_when_base_is_off() -> None:
    off = {"base": {"enabled": False}}
    told = with_manifest(Entry("package", "dbus-user-session"), Entry("package", "ripgrep"), settings=off)
    (command,) = [each for each in told if "apt-mark auto" in each]
    assert "apt-mark auto ripgrep >" in command


def test_sshds_drop_in_and_keys_go_armed_and_before_the_guard() -> None:
    entries = [
        Entry("file", GUARD, "0" * 64),
        Entry("file", DROP_IN, "0" * 64),
        Entry("key", "claude:ssh-ed25519 AAAA"),
    ]
    off = {section: {"enabled": False} for section in ("ssh", "firewall", "guard")}
    found = ("at", GUARD, "f", "755", "root", "root", "", "", "9", "1-1")
    there = {"fake_responses": {f"hash root {GUARD}": answered("kind", "file", *found)}}
    told = iter(with_manifest(*entries, settings={**off, **there}))
    # Each is looked for behind the one before it.
    for step in ("guard arm sshd", f"rm -f {DROP_IN}", "guard confirm", "guard arm /home/claude/.ssh/authorized_keys",
                 "awk -v kind=ssh-ed25519", "guard confirm", f"rm -f {GUARD}"):  # fmt: skip
        assert any(step in command for command in told), f"not there, or not in its place: {step}"
    assert not [each for each in with_manifest(*entries, settings=off) if "guard arm" in each]


def test_leftovers_that_are_off_leave_all() -> None:
    stale = Entry("link", "/usr/local/bin/claude-solo", "/usr/local/lib/signalbox/launch")
    assert with_manifest(stale, settings={"leftovers": {"enabled": False}}) == []


def test_a_gateway_that_moves_to_another_user_stops_where_it_was_before_it_starts() -> None:
    old = Entry("file", "/home/old/.config/systemd/user/litellm.service", "0" * 64)
    sent = [each["command"] for each in deploy(manifest(old)).sent]
    stop = next(place for place, command in enumerate(sent) if "disable --now litellm.service" in command)
    start = next(place for place, command in enumerate(sent) if "restart litellm.service" in command)
    assert stop < start


def test_remove_takes_away_each_kind_in_its_order_and_gives_back_what_was_set_aside() -> None:
    ids = {"container": "claude:litellm", "image": "claude:repo@sha256:1", "linger": "claude", "subids": "claude",
           "user": "claude", "mode": "/home/claude", "key": "claude:ssh-ed25519 AAAA", "unit": "docker.service",
           "package": "ripgrep", "replaced": "chrony", "shell": "claude", "expiry": "claude",
           "stopped": "docker.service", "sysctl": "net.ipv4.ip_forward",
           "tool": "mise"}  # fmt: skip
    hashes = {"link": "/x", "file": "0" * 64, "line": "x", "tool": "1 2-3", "sysctl": "1", "mode": "go=", "subids": "1"}
    hashes |= {"replaced": "4.6-1", "shell": "/bin/bash", "choice": "cleanupPeriodDays=3650"}
    originals = {
        "sysctl": "0",
        "container": "always",
        "mode": "755",
        "subids": "",
        "replaced": "ripgrep",
        "shell": "/bin/sh",
        "expiry": "11323",
    }
    entries = {}
    for kind in ORDER:
        ident = ids.get(kind, f"/home/claude/.{kind}")
        kept = original_of(kind, ident) if kind in ("link", "file", "line", "aside") else None
        entries[kind] = Entry(kind, ident, hashes.get(kind, ""), originals.get(kind, kept))
    homes = {"remove": {"homes": True}}
    sent = [each["command"] for each in deploy({**manifest(*entries.values()), **homes}, file="remove.py").sent]
    places = {
        kind: next((place for place, command in enumerate(sent) if forget(kind, entry.id) in command), None)
        for kind, entry in entries.items()
    }
    assert None not in places.values(), places
    assert sorted(places, key=lambda kind: places[kind] or 0) == list(ORDER)
    assert "docker container start litellm" in sent[places["container"] or 0]
    assert "/home/claude/.aside" in sent[places["aside"] or 0]
    assert "chmod 755 /home/claude" in sent[places["mode"] or 0]


def test_an_earlier_gateway_user_goes_with_its_home() -> None:
    def gone(shell: str) -> bool:
        sent = deploy(manifest(Entry("user", "old", shell)), file="remove.py").sent
        return any("userdel old" in each["command"] for each in sent)

    assert gone(NOLOGIN)
    assert not gone("/bin/bash")


def test_a_unit_whose_original_comes_back_runs_again() -> None:
    path = "/home/claude/.config/systemd/user/docker.service"
    (ours,) = removal([Entry("file", path, "0" * 64)])
    (theirs,) = removal([Entry("file", path, "0" * 64, "/var/lib/signalbox/originals/docker")])
    assert "enable --now docker.service" in theirs
    assert "enable" not in ours


def test_an_entry_that_cannot_be_read_is_named_and_kept_for_a_person() -> None:
    path = entry_path("file", "/etc/one")
    usual = {each["command"] for each in deploy({}).sent}
    sent = [each["command"] for each in deploy(manifest(more=[(path, '{"kin'), (path, "")])).sent]
    assert [command for command in sent if command not in usual] == [f"mv {path} /var/lib/signalbox/originals/"]


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ([], None),
        (["", "/manifest", "/originals"], "find /var/lib/signalbox -xdev -delete"),
        (["", "/originals", "/originals/x.edited"], None),
        (
            ["", "/audit", "/originals", "/originals/x.edited"],
            "find /var/lib/signalbox -xdev -mindepth 1 ! -path /var/lib/signalbox/originals"
            " ! -path '/var/lib/signalbox/originals/*' -delete",
        ),
    ],
)
def test_remove_keeps_and_names_what_it_could_not_give_back(found: list[str], done: str | None) -> None:
    answer = {"fake_responses": {"-prune": answered(claimed("".join(f"/var/lib/signalbox{path}\n" for path in found)))}}
    seen = deploy(answer, file="remove.py")
    assert [each["command"].partition(" && ")[0] for each in seen.sent if "-delete" in each["command"]] == (
        [done] if done else []
    )
    named = done is not None and any("edited" in path for path in found)
    assert ("kept, since" in seen.stderr) == named, seen.stderr


def test_what_lies_in_a_home_is_taken_away_with_its_users_rights() -> None:
    for kind in ("file", "link", "line", "directory"):
        (command,) = removal([Entry(kind, "/home/claude/.config/x", "0" * 64)])
        for part in re.split(r"setpriv --reuid=claude [^;]*? -- (?:env -i [^;]*? )?sh -c '(?:[^']|'\"'\"')*'", command):
            assert not re.search(r"\b(rm|mv|rmdir|cp -a -T)\b[^;&]*/home/claude", part), part
