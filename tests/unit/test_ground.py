"""What stands in a machine's way, and why a login runs nothing: from what a machine tells, as pure functions."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from signalbox.desired.ground import FIRST_SUBID, SUBIDS, GroundState, Login, Mount, Needs, problems, warnings
from signalbox.facts.ground import Ground
from signalbox.facts.packages import TimeDaemons
from signalbox.facts.sources import Sources
from signalbox.shell import no_answer
from tests.answers import answered

NEEDS = Needs(users=("claude", "litellm"), claude=True, engines=1, disk_mib=8192)
WELL = GroundState(cpu=frozenset({"ssse3", "sse4_2", "popcnt"}), userns={"user.max_user_namespaces": 100})


def test_a_machine_of_its_own_has_nothing_in_its_way() -> None:
    assert problems(WELL, NEEDS, "amd64", deployed=False) == []
    assert warnings(WELL, NEEDS) == []


@pytest.mark.parametrize(
    ("ground", "words"),
    [
        (replace(WELL, cpu=frozenset({"sse2"})), "the processor has no ssse3, sse4_2, popcnt"),
        (replace(WELL, ids=65536), f"needs them up to {FIRST_SUBID + SUBIDS}"),
        (replace(WELL, ids=FIRST_SUBID + SUBIDS, subids_end=300000), "needs them up to 300000"),
        (
            replace(WELL, userns={"user.max_user_namespaces": 0}),
            "user namespaces are off (user.max_user_namespaces = 0)",
        ),
        (replace(WELL, userns={"kernel.unprivileged_userns_clone": 0}), "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            replace(WELL, tun=False),
            "/dev/net/tun cannot be opened, and containers have no network without it; modprobe",
        ),
        (replace(WELL, tun=False, container="lxc"), "in Proxmox, write lxc.cgroup2.devices.allow: c 10:200 rwm"),
        (replace(WELL, keyctl=False), "keyctl is refused here"),
        (replace(WELL, proc=frozenset({"rw", "hidepid=2"})), "/proc is mounted with hidepid=2"),
        (replace(WELL, users={"claude": Login("/srv/claude", True)}), "the home of claude is /srv/claude"),
        (replace(WELL, users={"litellm": Login("/home/litellm", False)}), "the user litellm comes from a directory"),
        (replace(WELL, mounts=(Mount("/home", frozenset({"rw", "noexec"}), 9000),)), "/home is mounted with noexec"),
        (replace(WELL, mounts=(Mount("/usr", frozenset({"ro"}), 9000),)), "/usr is mounted read-only"),
        (replace(WELL, mounts=(Mount("/home", frozenset({"rw"}), 900),)), "900 MiB are free under /home"),
        (replace(WELL, mounts=(Mount("/var", frozenset({"rw"}), 900),)), "900 MiB are free under /var"),
    ],
)
def test_what_is_in_the_way_is_told_with_the_next_step(ground: GroundState, words: str) -> None:
    (told,) = problems(ground, NEEDS, "amd64", deployed=False)
    assert words in told


def test_what_nobody_asks_for_is_in_nobodys_way() -> None:
    poor = replace(WELL, cpu=frozenset({"sse2"}), ids=65536, tun=False, keyctl=False, proc=frozenset({"hidepid=2"}))
    assert problems(poor, replace(NEEDS, claude=False, engines=0), "amd64", deployed=False) == []
    assert problems(replace(WELL, cpu=frozenset({"asimd"})), NEEDS, "arm64", deployed=False) == []
    assert problems(replace(WELL, proc=frozenset({"hidepid=2", "gid=4"})), NEEDS, "amd64", deployed=False) == []
    assert problems(replace(WELL, mounts=(Mount("/var", frozenset({"rw"}), 9),)), NEEDS, "amd64", deployed=True) == []


def test_pages_of_16_kib_are_told() -> None:
    (told,) = warnings(replace(WELL, page=16384), NEEDS)
    assert told.startswith("memory pages are 16384 bytes here")


def test_this_machine_tells_all_of_it() -> None:
    done = subprocess.run(["sh", "-c", Ground().command(("root",))], capture_output=True, text=True, check=True)
    told = Ground().process(done.stdout.splitlines())
    assert (told.page, told.users["root"]) == (4096, Login("/root", True))
    assert "root" in told.groups
    assert told.ids > SUBIDS


@pytest.mark.parametrize(
    ("rows", "ids"),
    [("0 0 4294967295", 4294967295), ("0 100000 65536\n", 65536), ("0 1000 1\n1 100000 65536\n", 65537),
     ("0 1000 1\n5 100000 65536\n", 1)],
)  # fmt: skip
def test_ids_are_those_from_0_on_without_a_gap(rows: str, ids: int) -> None:
    assert Ground().process(answered("ids", rows, "ids", "0 0 4294967295")).ids == ids


DEBIAN = "/etc/apt/sources.list.d/debian.sources:URIs: http://deb.debian.org/debian"
THEIRS = "/etc/apt/sources.list.d/theirs.list:deb https://repo.example.org/apt trixie main"


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ("", []),
        ("E: The repository 'https://repo.example.org/apt trixie Release' does not have a Release file.",
         ["/etc/apt/sources.list.d/theirs.list"]),
        ("W: OpenPGP signature verification failed: https://repo.example.org/apt trixie InRelease: sqv …",
         ["/etc/apt/sources.list.d/theirs.list"]),
        ("E: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Could not connect",
         ["/etc/apt/sources.list.d/debian.sources"]),
        ("Error: The repository 'http://elsewhere.example/x y Release' does not have a Release file.",
         ["http://elsewhere.example/x"]),
    ],
)  # fmt: skip
def test_a_source_that_is_broken_is_told_by_its_file(said: str, broken: list[str]) -> None:
    state = Sources().process(answered("update", said, "known", "curl\n", "files", f"{DEBIAN}\n{THEIRS}\n"))
    assert (list(state.broken), state.unreadable, state.known) == (broken, "", ("curl",))


def test_sources_that_apt_cannot_read_at_all() -> None:
    words = "Conflicting values set for option Signed-By regarding source https://repo.example.org/apt/ trixie: a != b"
    state = Sources().process(answered("update", f"E: {words}\nE: The list of sources could not be read.", "known", "",
                                       "files", THEIRS))  # fmt: skip
    assert (state.unreadable, state.broken) == (words, {})


def test_time_daemons_are_a_name_a_line() -> None:
    assert TimeDaemons().process(answered("chrony\n")) == ["chrony"]
    assert TimeDaemons().process(answered("")) == []


EXPIRED = "WARNING: Your password has expired.\nPassword change required but no TTY available.\n"
CLOUD = 'Please login as the user "debian" rather than the user "root".\n\n'


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (EXPIRED, "root's password there has expired"),
        ("You are required to change your password immediately (administrator enforced).\n", "has expired"),
        (CLOUD, '"ssh_user": "debian"'),
        ("This account is currently not available.\n", "its shell is nologin"),
        ("sudo: sorry, you must have a tty to run sudo\n", "Defaults:root !requiretty"),
        ("sudo: a password is required\n", "connection.sudo_password"),
        ("sudo: a terminal is required to read the password; either use the -S option\n", "connection.sudo_password"),
        ("root is not in the sudoers file.\n", "may not use sudo there"),
        ("sh: 1: sudo: not found\n", "there is no sudo there"),
        ("Unmatched '''.\n", "csh or tcsh"),
        ("\n\n", "ends without running a command"),
        ("open terminal failed: not a terminal\n", 'and says "open terminal failed: not a terminal"'),
        ("\x1b[2J" * 9, 'and says "\\x1b[2J'),
    ],
)
def test_why_a_login_runs_nothing(said: str, words: str) -> None:
    assert not no_answer.answered(said)
    assert words in no_answer.why(said, "root", "192.168.1.2")


@pytest.mark.parametrize("noise", ["", "echo Welcome; ", "printf 'host> '; ", "seq 3000; "])
def test_a_shell_that_runs_it_has_answered(noise: str) -> None:
    done = subprocess.run(["sh", "-c", f"{noise}{no_answer.PROBE}"], capture_output=True, text=True, check=True)
    assert no_answer.answered(done.stdout)
