"""What a person had: packages that apt would take, what npm and Docker hold, files that an edit would break."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest

from signalbox.facts import PlacedState, Transaction, TransactionState
from signalbox.operations.files import prepare
from signalbox.operations.packages import _keeps
from signalbox.shell import Script, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import edited_of, give_back, is_as_placed, keep, lines_without, original_of, replaced
from signalbox.shell.removal import removal
from signalbox.shell.removal.tools import NO_NODE, npm_has
from tests.answers import answered

STEPS = """NOTE: This is only a simulation!
Remv docker-ce [5:28.0.0-1] [docker-ce-rootless-extras:amd64 ]
Remv containerd.io [1.7.27-1]
Inst libc6 [2.41-1] (2.41-2 Debian:13 [amd64]) []
Inst runc (1.1.15+ds1-2+deb13u1 Debian:13 [amd64])
Conf runc (1.1.15+ds1-2+deb13u1 Debian:13 [amd64])
"""
REMOVED = {"docker-ce": "5:28.0.0-1", "containerd.io": "1.7.27-1"}
CHANGED = {"libc6": ("2.41-1", "2.41-2")}


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (
            ("would", "0", STEPS, "auto", "containerd.io\nrunc"),
            TransactionState(REMOVED, CHANGED, ("containerd.io",), known=True),
        ),
        (("would", "0", "", "auto", ""), TransactionState(known=True)),
        # No such name, and all in order.
        (("would", "100", "", "mend", "0", "", "auto", ""), TransactionState()),
        (
            ("would", "100", "", "mend", "0", STEPS, "auto", ""),
            TransactionState(REMOVED, CHANGED, known=True, broken=True),
        ),
        (("would", "100", "", "mend", "100", "", "auto", ""), TransactionState()),
    ],
)
def test_what_apt_would_do_to_packages_that_are_there(told: tuple[str, ...], state: TransactionState) -> None:
    assert Transaction().process(answered(*told)) == state


def _run(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{cwd}/bin:/usr/bin:/bin"
    return subprocess.run(
        ["sh", "-c", script], cwd=cwd, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize(
    ("allowed", "ours", "automatic", "refused"),
    [
        ([], [], "", "docker-ce containerd.io"),
        (["docker-ce"], [], "", "containerd.io"),
        (["docker-ce"], [], "containerd.io", "containerd.io"),
        (["docker-ce", "containerd.io"], [], "", None),
        (["docker-ce"], ["docker-ce"], "containerd.io", None),  # it came with what is ours
        (["docker-ce"], ["docker-ce"], "", "containerd.io"),
    ],
)
def test_apt_removes_nothing_that_was_not_given_up(
    allowed: list[str], ours: list[str], automatic: str, refused: str | None, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for program, text in (("apt-get", STEPS), ("apt-mark", automatic)):
        (tmp_path / "bin" / program).write_text(f"#!/bin/sh\ncat << 'EOF'\n{text}\nEOF\n")
        (tmp_path / "bin" / program).chmod(0o755)
    done = _run(f"{_keeps(allowed, ours)} && keeps install docker.io && echo installs", tmp_path)
    assert ("installs" in done.stdout) == (refused is None), done
    if refused:
        assert f"apt-get install docker.io would remove {refused};" in done.stderr


def test_apts_own_words_come_through_where_it_knows_no_way(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "apt-get").write_text("#!/bin/sh\necho E: held >&2\nexit 100\n")
    (tmp_path / "bin" / "apt-get").chmod(0o755)
    done = _run(f"{_keeps([], [])} && keeps install x && echo installs", tmp_path)
    assert (done.stdout, done.stderr) == ("", "E: held\n")


def test_what_npm_has_installed_stays_when_node_goes(tmp_path: Path) -> None:
    for package in ("npm", "corepack", "theirs", "@scope/tool"):
        (tmp_path / "lib/node_modules" / package).mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for program in ("node", "npm", "theirs"):
        (tmp_path / "bin" / program).touch()
    own = _run(f"d={tmp_path}; {npm_has(sh('$d'))}", tmp_path)
    assert own.stdout.split() == ["theirs", "@scope/tool"]
    assert _run(f"d={tmp_path}; {NO_NODE}", tmp_path).returncode == 0
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not any(path.is_dir() for _ in "1")}
    assert left == {"bin/theirs"}
    assert sorted(path.name for path in (tmp_path / "lib/node_modules").iterdir()) == ["@scope", "theirs"]


@pytest.mark.parametrize(("check", "now"), [("true", "new\n"), ("false", "old\n")])
def test_an_edit_that_is_none_leaves_the_file_where_a_link_leads(check: str, now: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old\n")
    (tmp_path / "link").symlink_to("kept")
    checked = Script("true") if check == "true" else Script("false")
    done = _run(replaced(f"{tmp_path}/link", sh("sed s/old/new/"), checked), tmp_path)
    assert (done.returncode == 0) == (check == "true")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_text() == now
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "link"]


def test_a_filter_that_breaks_off_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\ntwo\nthree\n")
    (tmp_path / "bin").mkdir()
    awk = tmp_path / "bin/awk"
    awk.write_text("#!/bin/sh\nhead -c 5; exit 1\n")
    awk.chmod(0o755)
    edit = replaced(f"{tmp_path}/file", lines_without("two"))
    assert _run(edit, tmp_path).returncode != 0  # bin is on its PATH
    assert (tmp_path / "file").read_text() == "one\ntwo\nthree\n"
    awk.unlink()
    assert _run(edit, tmp_path).returncode == 0
    assert (tmp_path / "file").read_text() == "one\nthree\n"


def test_a_login_shell_is_given_back_unless_another_was_chosen_since() -> None:
    (command,) = removal([Entry("shell", "claude", "/bin/bash", "/bin/dash")])
    assert "usermod --shell /bin/dash claude" in command
    assert "!= /bin/bash ] ||" in command


def test_a_package_whose_configuration_was_there_is_not_purged() -> None:
    (command,) = removal([Entry("package", "one"), Entry("package", "two", original="config-files")])
    assert "grep -vxF -e '' -e two " in command


def test_whether_a_file_is_as_placed_is_told_as_root_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ours\n")
    digest = hashlib.sha256(b"ours\n").hexdigest()
    assert _run(is_as_placed(f"{tmp_path}/file", digest), tmp_path).returncode == 0
    assert _run(is_as_placed(f"{tmp_path}/file", "0" * 64), tmp_path).returncode == 1


OURS = "a" * 64


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        (PlacedState(type="file", sha256=OURS, entry=Entry("file", "/etc/x", OURS)), None),
        (PlacedState(type="file", sha256="b" * 64, entry=Entry("file", "/etc/x", OURS)), edited_of("file", "/etc/x")),
        (PlacedState(type="link", target="/y", entry=Entry("file", "/etc/x", OURS)), edited_of("file", "/etc/x")),
        (PlacedState(type="file", sha256="b" * 64), original_of("file", "/etc/x")),
    ],
)
def test_what_a_person_made_of_our_file_is_kept_before_it_is_overwritten(now: PlacedState, kept: str | None) -> None:
    script = prepare("file", "/etc/x", now, OURS)
    assert ("cp -a -T --backup=numbered" in script) == (kept is not None)
    assert kept is None or f"cp -a -T --backup=numbered /etc/x {kept}" in script


def test_a_file_of_a_persons_in_the_place_of_our_link_is_kept() -> None:
    now = PlacedState(type="file", sha256="b" * 64, entry=Entry("link", "/usr/local/bin/x", "/opt/x"))
    assert f"/usr/local/bin/x {edited_of('link', '/usr/local/bin/x')}" in prepare("link", "/usr/local/bin/x", now, "")


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0"
FROM = f'from="192.0.2.0/24" {KEY} mine'


def test_a_key_with_options_stays_when_ours_of_the_same_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.shell.removal.owned", lambda _, script: script)
    (tmp_path / ".ssh").mkdir()
    keys = tmp_path / ".ssh/authorized_keys"
    keys.write_text(f"{FROM}\n{KEY} ours\n# {KEY}\n")
    (command,) = removal([Entry("key", f"claude:{KEY}")])
    done = _run(command.rpartition(" && rm -f ")[0].replace("/home/claude", str(tmp_path)), tmp_path)
    assert done.returncode == 0, done
    assert keys.read_text() == f"{FROM}\n# {KEY}\n"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return a POSIX ACL as the kernel has it: tag, permissions and id of each entry (linux/posix_acl_xattr.h)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 2**32 - 1
# Another user may read it, its group may not: as a mode alone that would be 640.
READ_BY_ONE = acl((1, 6, NOBODY), (2, 4, 1234), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))
ACL = "system.posix_acl_access"


def with_acl(path: Path) -> None:
    path.write_text("old\n")
    try:
        os.setxattr(path, "user.theirs", b"x")
        os.setxattr(path, ACL, READ_BY_ONE)
    except OSError:
        pytest.skip("this file system has no ACLs")


# As sed -i, which many installers edit shell files with, loses them: https://bugs.debian.org/695157,
# and ydb-platform/nbs#3610.
def test_an_edit_keeps_who_may_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with_acl(file)
    assert _run(replaced(str(file), sh("sed s/old/new/")), tmp_path).returncode == 0
    assert (file.read_text(), os.getxattr(file, ACL), os.getxattr(file, "user.theirs")) == ("new\n", READ_BY_ONE, b"x")


@pytest.mark.parametrize("edit", ["sed s/old/newer/", "sed s/old/n/", "head -c 0"])
def test_an_edit_leaves_a_file_the_one_that_its_other_names_are_of(tmp_path: Path, edit: str) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("old\nrest\n")
    os.link(file, other)
    assert _run(replaced(str(file), sh(edit.replace("{", "{{"))), tmp_path).returncode == 0
    wanted = subprocess.run(edit.split(), input="old\nrest\n", capture_output=True, text=True, check=True).stdout
    assert (file.read_text(), other.read_text(), file.stat().st_nlink) == (wanted, wanted, 2)
    assert {each.name for each in tmp_path.iterdir()} == {"file", "other"}


def test_a_file_of_two_names_stays_as_it_is_where_there_is_no_room(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old\n" * 200)
    os.link(file, tmp_path / "other")
    # Once the new one is there, no file may have more than 1024 bytes.
    full = sh("trap '' XFSZ && ulimit -f 2")
    done = _run(replaced(str(file), sh("sed s/old/newer/"), full), tmp_path)
    assert (done.returncode, file.read_text(), file.stat().st_nlink) == (1, "old\n" * 200, 2)
    assert f"{file}: no room" in done.stderr
    assert not (tmp_path / "file.signalbox-new").exists()


def test_what_was_kept_of_a_home_comes_back_with_who_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalbox.shell.originals.owner_of", lambda _: "somebody")
    monkeypatch.setattr("signalbox.shell.originals.as_owner", lambda _, script: sh("sh -c {}", str(script)))
    file, kept = tmp_path / "file", str(tmp_path / "kept.tar")
    with_acl(file)
    assert _run(keep(str(file), kept), tmp_path).returncode == 0
    file.unlink()
    assert _run(give_back(str(file), kept), tmp_path).returncode == 0
    assert (file.read_text(), os.getxattr(file, ACL), os.getxattr(file, "user.theirs")) == ("old\n", READ_BY_ONE, b"x")
