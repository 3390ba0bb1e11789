"""Fact commands run in a real shell on real files, and what they print is understood."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signalbox import facts
from signalbox.desired.health import kept_from_shells
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets
from signalbox.facts import Placed, PlacedEach, PlacedState, look, networks, reach
from signalbox.host.doctor import check_services
from signalbox.settings import Settings
from signalbox.settings.layers import merge
from signalbox.shell.manifest import Entry, entry_path, original_path
from tests.answers import answered, claimed, text_field, user_answered
from tests.good_settings import layers


def ask(fact: Any, **arguments: Any) -> Any:
    """Run the fact's command as a host would, and process what it prints."""
    command = fact().command(**arguments)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20)
    lines = done.stdout.splitlines()
    return fact().process(lines) if lines else fact.default()


def test_placed_tells_a_file_with_its_mode_owner_and_content_hash(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_text("content\n")
    path.chmod(0o640)
    state = ask(Placed, path=str(path), kind="file")
    assert (state.type, state.mode, state.user) == ("file", "640", getpass.getuser())
    assert state.sha256 == hashlib.sha256(b"content\n").hexdigest()
    assert state.entry is None


def test_placed_tells_an_empty_file_a_directory_and_a_link_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/some where")
    assert ask(Placed, path=str(tmp_path / "empty"), kind="file").type == "file"
    assert ask(Placed, path=str(tmp_path), kind="directory").type == "directory"
    link = ask(Placed, path=str(tmp_path / "link"), kind="link")
    assert (link.type, link.target) == ("link", "/some where")


def test_what_is_not_there_is_an_answer(tmp_path: Path) -> None:
    missing = str(tmp_path / "no")
    assert ask(Placed, path=missing, kind="file") == PlacedState()
    assert ask(facts.FirstLine, path=missing) == ""
    assert ask(facts.Tool, ident="no", binary=missing) == facts.ToolState()
    assert ask(facts.User, user="nobody-of-that-name") == facts.UserState()
    assert "no-such-package-anywhere" not in ask(facts.Packages)
    assert ask(facts.UserCommand, user="nobody-of-that-name", home="/x", script="echo hello") == []
    assert ask(facts.UserUnits, user="nobody-of-that-name", home="/x") == {}
    assert ask(facts.UserInputs, unit="x.service", user="nobody-of-that-name", inputs=()) == facts.Inputs()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_several_paths_at_once_are_told_as_each_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalbox.facts.placed.entry_path", lambda kind, path: f"{path}.{kind}-entry")
    (tmp_path / "a file").write_text("content\n")
    (tmp_path / "a file").chmod(0o640)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("/some where|else")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    paths = tuple(str(tmp_path / name) for name in ("a file", "empty", "link", "directory", "fifo", "no", "only noted"))
    for path in (paths[0], paths[2], paths[6]):
        Path(f"{path}.{kind}-entry").write_text(Entry(kind, path, "0" * 64).to_json() + "\n")
    together = ask(PlacedEach, paths=paths, kind=kind)
    alone = {path: ask(Placed, path=path, kind=kind) for path in paths}
    assert {path: together.get(path, PlacedState()) for path in paths} == alone
    assert None not in (alone[paths[0]].entry, alone[paths[2]].target, alone[paths[6]].entry)
    assert (alone[paths[0]].sha256 is None) == (kind == "link")


def test_user_tells_what_passwd_knows() -> None:
    state = ask(facts.User, user="root")
    assert (state.exists, state.uid, state.home) == (True, 0, "/root")


def test_unit_tells_the_hashes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text("x")
    state = ask(facts.UserInputs, unit="x.service", user="nobody-of-that-name", inputs=(str(path),))
    assert state.on_disk == {str(path): hashlib.sha256(b"x").hexdigest()}


def test_unit_tells_a_plain_secret_by_inode_and_time(tmp_path: Path) -> None:
    secret, other = tmp_path / "NAME.key", tmp_path / "unit"
    secret.write_text("weak")
    other.write_text("x")
    paths = (str(secret), str(other))

    def on_disk() -> dict[str, str]:
        return dict(ask(facts.UserInputs, unit="x.service", user="nobody-of-that-name", inputs=paths).on_disk)

    before = on_disk()
    assert before[str(other)] == hashlib.sha256(b"x").hexdigest()
    status = secret.stat()
    assert before[str(secret)] == f"{status.st_ino}-{int(status.st_ctime)}"
    assert before == {path: check_services._digest(Path(path)) for path in paths}  # as claude-doctor tells it
    replacement = tmp_path / "new"
    replacement.write_text("other")
    replacement.replace(secret)
    assert on_disk()[str(secret)] != before[str(secret)]


def test_unit_tells_systemds_properties_and_what_it_started_with() -> None:
    show = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nId={}\nDropInPaths={}\n"
    paths = "/etc/x.service.d/a.conf /etc/service.d/b.conf"
    told = claimed("\n".join((show.format("x.service", paths), show.format("y.timer", "").replace("active", "failed"))))
    assert facts.UserUnits().process(answered(told)) == {
        "x.service": facts.Unit(True, True, False, ("/etc/x.service.d/a.conf",)),
        "y.timer": facts.Unit(False, True, False, ()),
    }
    noted = ("text", "/run/user/1000/x.inputs", text_field("ab  /etc/a b\n"))
    key = ("at", "/c.key", "f", "600", "claude", "claude", "", "", "9", "7-1000")
    state = facts.UserInputs().process(answered(*noted, "hash", "/c", "cd", *key))
    assert state == facts.Inputs({"/etc/a b": "ab"}, {"/c": "cd", "/c.key": "7-1000"})


@pytest.mark.parametrize(
    ("properties", "stale"),
    [
        (("LoadState=loaded", "NeedDaemonReload=no"), False),
        (("LoadState=loaded", "NeedDaemonReload=yes"), True),
        (("LoadState=error", "NeedDaemonReload=no"), True),  # its file was gone meanwhile, and is back
        (("LoadState=not-found", "NeedDaemonReload=no"), False),
    ],
)
def test_a_unit_whose_file_came_back_must_be_read_again(properties: tuple[str, ...], stale: bool) -> None:
    show = "\n".join(("Id=x.service", "ActiveState=active", "UnitFileState=enabled", *properties))
    assert facts.UserUnits().process(answered(claimed(show)))["x.service"].needs_reload is stale
    assert facts.SystemUnits().process(answered(show))["x.service"].needs_reload is stale


class TestSubordinateIds:
    LINE = "passwd claude:x:1001:1001::/home/claude:/bin/bash"

    def user(self, *lines: str, recorded: str | None = None) -> facts.UserState:
        entry = Entry("subids", "claude", hash=recorded).to_json() if recorded is not None else ""
        return facts.User().process(user_answered(self.LINE, *lines, *([f"entry {entry}"] if entry else [])))

    def test_of_this_user_alone_are_counted(self) -> None:
        both = ("subuid claude:100000:65536", "subgid claude:100000:65536", "subuid other:165536:65536")
        state = self.user(*both, "subuid claude:300000:10", "subuid broken", "subuid #claude:x:y")
        assert (state.subuids, state.subgids, state.first_subid) == (65546, 65536, "100000")

    def test_its_ids_are_those_of_its_name_of_its_number_and_of_every_other_source(self) -> None:
        lines = ("subuid claude:100000:65536", "subuid 1001:300000:10", "subuid other:165536:65536", "subuid 1002:1:5")
        known = ("range 0: claude 100000 65536", "range 1: claude 500000 10")  # getsubids
        assert self.user(*lines, *known).uids == (
            range(1001, 1002), range(100000, 165536), range(300000, 300010), range(500000, 500010)
        )  # fmt: skip
        assert self.user().uids == (range(1001, 1002),)

    def test_a_range_that_was_lost_is_given_back(self) -> None:
        others = ("subuid other:165536:65536", "subgid other:165536:65536")
        assert self.user(*others, recorded="100000").free_subids == 100000
        assert self.user(*others).free_subids == 231072
        assert self.user(*others, recorded="").free_subids == 231072
        # One of them is another's by now.
        assert self.user(*others, "subgid third:165000:10", recorded="100000").free_subids == 231072

    def test_without_any_they_begin_where_debian_begins(self) -> None:
        assert self.user().free_subids == 100000


def test_reachable_tells_each_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        up = f"127.0.0.1:{server.getsockname()[1]}"
        # TEST-NET-1 (RFC 5737) is never asked: loopback ports that nothing listens on refuse at once.
        down = [f"127.0.0.1:{port}" for port in (1, 2, 3)]
        state = ask(facts.Reachable, addresses=(up, *down), seconds=2)
    assert state == {up: True}


def test_manifest_entries_survive_the_round_trip() -> None:
    entry = Entry("file", "/etc/with space", "0" * 64, original_path("file", "/etc/with space"))
    assert Entry.from_json(entry.to_json()) == entry
    for broken in ("", "{", "[]", '{"kind": "file"}', "[" * 200000):
        assert Entry.from_json(broken) is None


def test_an_entry_that_cannot_be_read_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("file", "/etc/one", "0" * 64)
    monkeypatch.setattr("signalbox.shell.manifest.MANIFEST", str(tmp_path))
    own = Path(entry_path("file", "/etc/one")).name
    other = entry.to_json()  # in a file that is not its own
    for name, content in ((own, f"{entry.to_json()}\n"), ("file-etc-two-12345678", ""),
                          ("file-etc-four-12345678", f"{other}\n"),
                          ("file-etc-three-12345678", '{"kind": "fi'), ("file-etc-one-12345678.new", "")):  # fmt: skip
        (tmp_path / name).write_text(content)
    for module in ("placed", "look"):
        monkeypatch.setattr(f"signalbox.facts.{module}.MANIFEST", str(tmp_path))
    state = ask(facts.Manifest)
    assert state.entries == (entry,)
    unreadable = [Path(path).name for path in state.unreadable]
    assert unreadable == [f"file-etc-{name}-12345678" for name in ("four", "three", "two")]
    told = ("kind", "file", "entry", "/etc/one", '{"kind')
    found = ("at", "/etc/one", "f", "644", "root", "root", "", "", "1", "1-1")
    assert facts.PlacedEach().process(answered(*told, *found))["/etc/one"].mode == "644"
    assert facts.Placed().process(answered(*told, *found)).entry is None


def test_the_manifest_tells_what_lies_at_its_paths_as_each_is_told_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    monkeypatch.setattr("signalbox.shell.manifest.MANIFEST", str(manifest))
    for module in ("placed", "look"):
        monkeypatch.setattr(f"signalbox.facts.{module}.MANIFEST", str(manifest))
    (tmp_path / "a file").write_text("content\n")
    (tmp_path / "secret.key").write_text("weak")
    (tmp_path / 'quoted "file"').write_text("content\n")
    (tmp_path / "directory").mkdir(mode=0o750)
    (tmp_path / "link").symlink_to("/some where|else")
    os.mkfifo(tmp_path / "fifo")  # hashing it would wait for ever
    entries = [
        *(Entry("file", str(tmp_path / name), "0" * 64) for name in ("a file", 'quoted "file"', "gone", "fifo")),
        Entry("file", str(tmp_path / "secret.key")),
        Entry("directory", str(tmp_path / "directory")),
        Entry("link", str(tmp_path / "link"), "/elsewhere"),
        Entry("mode", str(tmp_path), "go=", "755"),
        Entry("package", "package"),
    ]
    for entry in entries:
        Path(entry_path(entry.kind, entry.id)).write_text(entry.to_json() + "\n")
    state, paths = ask(facts.Manifest), ask(facts.ManifestPaths)
    assert state == paths.manifest
    assert set(state.entries) == set(entries)
    told = {entry.id: facts.known_placed(paths, entry.kind, entry.id) for entry in entries}
    assert told.pop("package") is None
    assert told.pop(str(tmp_path / 'quoted "file"')) is None  # as JSON writes it, it is no path: it is asked alone
    assert told.pop(str(tmp_path / "secret.key")) is None
    assert str(tmp_path / "secret.key") not in paths.there
    assert told == {entry.id: ask(Placed, path=entry.id, kind=entry.kind) for entry in entries if entry.id in told}
    assert told[str(tmp_path / "gone")].type is None
    assert facts.known_placed(paths, "file", str(tmp_path)) is None
    # What is right above is looked at too, whoever made it.
    (tmp_path / "theirs").mkdir(mode=0o750)
    below = Entry("file", str(tmp_path / "theirs" / "file"), "0" * 64)
    Path(entry_path(below.kind, below.id)).write_text(below.to_json() + "\n")
    paths = ask(facts.ManifestPaths)
    for kind in ("directory", "mode"):
        told_above = facts.known_placed(paths, kind, str(tmp_path / "theirs"))
        assert told_above == ask(Placed, path=str(tmp_path / "theirs"), kind=kind)
    assert facts.known_placed(paths, "file", str(tmp_path / "theirs")) is None


def test_the_look_program_is_strict() -> None:
    strict = ["perl", "-Mstrict", "-c", "-e", look._PROGRAM]
    done = subprocess.run(strict, capture_output=True, text=True, check=False)
    assert done.stderr == "-e syntax OK\n"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="facts look as the user they are asked for, which root may")


SETS = {
    ".bashrc": ["export ANTHROPIC_API_KEY='marked'", "a; ANTHROPIC_API_KEY=marked claude",
                "alias c='ANTHROPIC_API_KEY=marked c'"],
    ".profile": ["export PATH; ANTHROPIC_AUTH_TOKEN=marked"],
    ".config/claude-secrets.env": ["ANTHROPIC_DIRECT_KEY=marked", 'export AZURE_FOUNDRY_KEY="marked"'],
    ".config/fish/config.fish": ["set -gx ANTHROPIC_API_KEY marked",
                                 "set --global --export ANTHROPIC_API_KEY 'marked'"],
    ".config/environment.d/10-mine.conf": ["ANTHROPIC_API_KEY=marked"],
    ".pam_environment": ["ANTHROPIC_API_KEY DEFAULT=marked"],
    ".claude/settings.json": ['{"env": {"ANTHROPIC_API_KEY": "marked"}}', '  "ANTHROPIC_AUTH_TOKEN" : "marked",'],
}  # fmt: skip
SETS_NOT = {
    ".bashrc": [
        "# export ANTHROPIC_API_KEY=no", "unset ANTHROPIC_API_KEY ANTHROPIC_DIRECT_KEY", "ANTHROPIC_API_KEY=",
        'ANTHROPIC_API_KEY="" claude', '[ -n "$ANTHROPIC_API_KEY" ] && echo set', 'echo "${ANTHROPIC_API_KEY:-}"',
        "env -u ANTHROPIC_API_KEY claude", 'echo "$ANTHROPIC_API_KEY" > f', "MY_ANTHROPIC_API_KEY=marked",
        "ANTHROPIC_API_KEY_FILE=marked", 'if [ "$ANTHROPIC_API_KEY" = marked ]; then', "OTHER_KEY=marked",
    ],
    ".config/fish/config.fish": ["set -e ANTHROPIC_API_KEY", "set -q ANTHROPIC_API_KEY; and echo set"],
    ".claude/settings.json": ['{"env": {"ANTHROPIC_API_KEY": ""}}', '{"deny": ["ANTHROPIC_API_KEY"]}'],
}  # fmt: skip
NAMES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_DIRECT_KEY", "AZURE_FOUNDRY_KEY")


def keys_found(home: Path) -> set[tuple[str, int]]:
    command = facts.KeySettings().command(user="root", home=str(home), names=NAMES)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=20)
    assert "marked" not in done.stdout
    found = facts.KeySettings().process(done.stdout.splitlines())
    return {(each.path, each.line) for each in found if each.path.startswith("~")}


@needs_root
@pytest.mark.parametrize("sets", [True, False])
def test_keys_in_files_of_a_person_are_found_with_their_line_and_without_their_value(
    sets: bool, tmp_path: Path
) -> None:
    files = SETS if sets else SETS_NOT
    for name, lines in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    every = {(f"~/{name}", number) for name, lines in files.items() for number in range(1, len(lines) + 1)}
    assert keys_found(tmp_path) == (every if sets else set())


@needs_root
def test_a_secrets_file_is_compared_without_telling_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "KEY.key"
    path.write_text("sk-ünïcode 'quoted'\n")
    path.chmod(0o600)
    other = tmp_path / "OTHER.key"
    other.write_text("other")
    asked = (str(tmp_path / "missing.key"), str(path), str(other))

    def look() -> facts.SecretState:
        found = ask(facts.SecretFiles, paths=asked, user="root", home=str(tmp_path))
        assert found[str(other)].holds("other")
        assert asked[0] not in found
        state: facts.SecretState = found.get(str(path), facts.SecretState())
        return state

    state, again = look(), look()
    assert (state.mode, state.user) == ("600", "root")
    assert state.holds("sk-ünïcode 'quoted'")
    assert not state.holds("sk-ünïcode")
    assert state.digest != again.digest  # another salt each time: two looks cannot be compared
    path.write_text("")
    assert not look().holds("")
    path.unlink()
    assert look() == facts.SecretState()


def test_what_reaches_a_host_is_an_answer_where_there_is_none(tmp_path: Path) -> None:
    assert ask(reach.Guard) == reach.GuardState()
    assert ask(reach.FirewallLoaded, path=str(tmp_path / "no")) is False
    assert ask(facts.SystemUnits, units=("no-such.service",)).get("no-such.service", facts.Unit()) == facts.Unit()
    assert ask(facts.SystemInputs, unit="no-such.service", inputs=(str(tmp_path / "no"),)) == facts.Inputs()
    assert ask(reach.KernelSettings, keys=("no.such.key",)) == {}


def test_a_session_is_told_by_sshd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert ask(reach.Session) == reach.SessionState()
    monkeypatch.setenv("SSH_CONNECTION", "192.168.1.5 50000 192.168.1.10 22")
    assert ask(reach.Session) == reach.SessionState("192.168.1.5", 22, 50000)


def test_kernel_settings_are_read_by_any_shell() -> None:
    state = ask(reach.KernelSettings, keys=("kernel.ostype", "kernel.pid_max", "no.such.key"))
    assert state["kernel.ostype"].value == "Linux"
    assert int(state["kernel.pid_max"].value) > 300
    assert "no.such.key" not in state


def test_networks_are_those_without_a_gateway() -> None:
    told = [
        '[{"dst":"192.168.1.0/24","dev":"eth0","flags":[]},{"dst":"10.8.0.0/24","dev":"wg0","flags":["linkdown"]}]',
        '[{"dst":"2001:db8::/64","dev":"eth0"},{"dst":"fe80::/64","dev":"eth0"},{"dst":"default","gateway":"fe80::1"}]',
    ]
    assert networks.Networks().process(answered(*told)) == ["192.168.1.0/24", "2001:db8::/64"]


def device(name: str, *addresses: str, tunnel: bool = False) -> dict[str, Any]:
    flags = ["POINTOPOINT", "UP"] if tunnel else ["BROADCAST", "UP"]
    return {"ifname": name, "flags": flags, "addr_info": [{"local": each} for each in addresses]}


@pytest.mark.parametrize(
    ("routes", "devices", "own", "shared"),
    [
        # A server at a provider: a network of 4096 addresses, and all in it are strangers.
        ({"45.77.0.0/20": "eth0"}, [device("eth0", "45.77.1.2")], [], ["45.77.0.0/20"]),
        ({"45.77.0.0/20": "eth0", "10.9.0.0/20": "eth0"}, [device("eth0", "45.77.1.2", "10.9.0.3")],
         ["10.9.0.0/20"], ["45.77.0.0/20"]),
        ({"2a02:8108:1::/64": "eth0", "45.77.0.0/20": "eth0"}, [device("eth0", "45.77.1.2", "2a02:8108:1::2")],
         [], ["2a02:8108:1::/64", "45.77.0.0/20"]),
        # A home, whose provider gives it a network of IPv6.
        ({"2a02:8108:1::/64": "eth0", "192.168.1.0/24": "eth0"}, [device("eth0", "192.168.1.2", "2a02:8108:1::2")],
         ["192.168.1.0/24", "2a02:8108:1::/64"], []),
        # A tailnet: one address, and no route in this table.
        ({"192.168.1.0/24": "eth0"}, [device("eth0", "192.168.1.2"), device("ts0", "100.101.102.103", tunnel=True)],
         ["100.64.0.0/10", "192.168.1.0/24"], []),
        # The same addresses from a provider that has too few of its own.
        ({"100.64.0.0/10": "eth0"}, [device("eth0", "100.70.1.2")], [], ["100.64.0.0/10"]),
        # A tunnel with addresses of the world's.
        ({"198.51.44.0/24": "wg0"}, [device("wg0", "198.51.44.2", tunnel=True)], ["198.51.44.0/24"], []),
    ],
)  # fmt: skip
def test_ones_own_networks_are_told_from_shared_ones(
    routes: dict[str, str], devices: list[dict[str, Any]], own: list[str], shared: list[str]
) -> None:
    of = [{"dst": network, "dev": name, "flags": []} for network, name in routes.items()]
    told = [json.dumps([each for each in of if ":" not in each["dst"]]),
            json.dumps([each for each in of if ":" in each["dst"]]), json.dumps(devices)]  # fmt: skip
    assert networks.Networks().process(answered(*told)) == own
    assert networks.SharedNetworks().process(answered(*told)) == shared


def test_what_sshd_says_of_itself_is_understood() -> None:
    told = ("changed", "/etc/ssh/sshd_config\n", "effective", "port 22\nport 2222\nusedns no\n")
    state = reach.Sshd().process(answered(*told))
    assert state == reach.SshdState(("/etc/ssh/sshd_config",), {"port": "22 2222", "usedns": "no"})


def test_sessions_are_those_of_this_gateway(tmp_path: Path) -> None:
    claude = tmp_path / "claude"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", claude)
    environments = [
        {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4321", "SIGNALBOX_LANE": "local", "CLAUDE_CONFIG_DIR": "/x/.other"},
        {"ANTHROPIC_BASE_URL": "http://localhost:4321/"},  # somebody's own, without a lane and a directory of its own
        {"ANTHROPIC_BASE_URL": "http://127.0.0.1:43210"},
        {"ANTHROPIC_BASE_URL": "https://api.anthropic.com", "NOTE": "ANTHROPIC_BASE_URL=http://127.0.0.1:4321"},
    ]
    running = [subprocess.Popen([claude, "60"], env=environment) for environment in environments]
    try:
        found = ask(facts.Sessions, user=getpass.getuser(), port=4321)
    finally:
        for each in running:
            each.kill()
            each.wait()
    assert {(each.pid, each.lane) for each in found} == {(running[0].pid, "claude-local"), (running[1].pid, "claude")}
    assert all(":" in each.age and each.terminal for each in found)


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, True),
        ({"secrets": {"on_host": "plain"}}, True),
        ({"secrets": {"on_host": "plain"}, "gateway": {"user": None}}, False),  # as the guide has it
        ({"lanes": {"api": {"enabled": True, "credential": "ANTHROPIC_DIRECT_KEY"}}}, False),  # its lane's own key
    ],
)
def test_which_keys_no_shell_shall_know(more: dict[str, Any], kept: bool) -> None:
    # One that a person's own programs may have.
    limits = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "parallel"))
    client = {"secret": "EDITOR_KEY", "models": ["local"], **limits}
    settings = Settings.from_layers(layers(merge({"gateway": {"clients": {"editor": client}}}, more)), host="box")
    assert "EDITOR_KEY" in gateway_secrets(settings, routing_table(settings))
    assert kept_from_shells(settings, routing_table(settings)) == (("ANTHROPIC_DIRECT_KEY",) if kept else ())
