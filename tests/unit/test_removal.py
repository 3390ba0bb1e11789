"""What takes packages away, run against an apt that is played: killed anywhere, the next run does all of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from signalbox.shell import manifest
from signalbox.shell.manifest import STATE, Entry, entry_path
from signalbox.shell.removal import removal
from signalbox.shell.removal.packages import KEPT, NO_ACCOUNTS

pytestmark = pytest.mark.slow

# Marks and packages are files. An apt that works out nothing says so; killed: the run ends in this call of apt's.
APT_GET = """#!/bin/sh
echo "$0 $*" >> log
[ ! -e killed ] || [ "$(grep -c apt-get log)" != "$(cat killed)" ] || { kill -KILL $PPID; sleep 5; }
[ ! -e broken ] || { echo 'E: dpkg was interrupted' >&2; exit 100; }
case "$*" in
*autoremove) for p in installed/*; do n=${p##*/}; [ ! -e auto/$n ] || echo "Remv $n [1]"; done;;
*' remove '*) for n in ${*##* remove }; do [ ! -e installed/$n ] || mv installed/$n configured/; done;;
*' purge '*) for n in ${*##* purge }; do rm -f configured/$n; done;;
esac
"""
APT_MARK = """#!/bin/sh
how=$1; shift
for n; do if [ $how = auto ]; then touch auto/$n; else rm -f auto/$n; fi; done
"""
DPKG_QUERY = """#!/bin/sh
case "$*" in *Status*) for p in configured/*; do [ ! -e $p ] || echo "${p##*/} config-files"; done;; esac
"""


class Played:
    """A machine with ripgrep and docker.io of ours, and two of a person's, one of them an orphan."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for directory in ("installed", "auto", "configured", "bin", "docker", "etc"):
            (place / directory).mkdir()
        for name in ("ripgrep", "docker.io", "theirs", "orphan"):
            (place / "installed" / name).touch()
        (place / "auto" / "orphan").touch()
        programs = {"apt-get": APT_GET, "apt-mark": APT_MARK, "dpkg-query": DPKG_QUERY,
                    "dpkg": "#!/bin/sh\n", "systemctl": "#!/bin/sh\n", "userdel": "#!/bin/sh\n"}  # fmt: skip
        for name, text in programs.items():
            (place / "bin" / name).write_text(text)
            (place / "bin" / name).chmod(0o755)

    def run(self) -> int:
        (script,) = removal([Entry("package", "ripgrep"), Entry("package", "docker.io")])
        here = str(script).replace(STATE, f"{self.place}/state").replace("/var/lib/docker", f"{self.place}/docker")
        here = here.replace("cp -a -x /etc ", f"cp -a -x {self.place}/etc ")
        (self.place / "log").write_text("")
        environment = {**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}"}
        words = ["sh", "-c", here]
        return subprocess.run(words, cwd=self.place, env=environment, capture_output=True, check=False).returncode

    def there(self, directory: str) -> set[str]:
        return {each.name for each in (self.place / directory).iterdir()}


CALLS = 5  # of apt-get: two to work out what would be left over, a removal, a purge; and none


@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_a_removal_that_was_killed_is_done_by_the_next_one(tmp_path: Path, call: int) -> None:
    played = Played(tmp_path)
    (tmp_path / "killed").write_text(str(call))
    assert (played.run() == 0) == (call == CALLS)
    (tmp_path / "killed").unlink()
    assert played.run() == 0
    assert played.there("installed") == {"theirs", "orphan"}
    assert played.there("configured") == set()


def test_a_file_is_forgotten_when_it_was_heard_of_that_it_is_gone() -> None:
    entry = Entry("file", "/usr/local/share/ca-certificates/ours.crt", "0" * 64)
    gone, heard = removal([entry])
    assert entry_path(entry.kind, entry.id) not in gone
    assert heard.index("update-ca-certificates --fresh") < heard.index(f"rm -f {entry_path(entry.kind, entry.id)}")


def test_an_apt_that_works_nothing_out_takes_nothing_away_and_forgets_nothing(tmp_path: Path) -> None:
    played = Played(tmp_path)
    entry = tmp_path / "state/manifest"
    (tmp_path / "broken").touch()
    assert played.run() != 0
    assert "ripgrep" in played.there("installed")
    assert entry.is_dir()


def test_what_another_package_has_removed_is_purged_without_what_its_purge_would_do(tmp_path: Path) -> None:
    """Debian's docker.io leaves a script in /var/lib/docker that its purge runs, and that takes all of it away."""
    played = Played(tmp_path)
    (tmp_path / "installed/docker.io").rename(tmp_path / "configured/docker.io")
    (tmp_path / "docker/nuke-graph-directory.sh").touch()
    (tmp_path / "docker/theirs").touch()
    assert played.run() == 0
    assert played.there("configured") == set()
    assert played.there("docker") == {"theirs"}


# Docker turns forwarding on for as long as it runs: whoever applies all of sysctl.d again cuts containers off,
# https://github.com/NixOS/nixpkgs/issues/118656 and https://github.com/debops/debops/pull/1878
def test_no_other_kernel_setting_than_ours_is_given_back() -> None:
    ours = [
        Entry("file", "/etc/sysctl.d/60-signalbox.conf", "0" * 64),
        Entry("sysctl", "kernel.dmesg_restrict", "1", "0"),
    ]
    told = "\n".join(removal(ours))
    assert re.findall(r"(?:systemd-sysctl|sysctl -\S+)[^>]*", told) == ["sysctl -qw kernel.dmesg_restrict=0; } "]


def test_of_what_a_purge_took_from_etc_only_what_somebody_wrote_is_kept(tmp_path: Path) -> None:
    """There before us: it comes back. As its package has it, or empty: it goes. Edited: a copy stays."""
    seen, etc, originals = tmp_path / "purge/etc", tmp_path / "etc", tmp_path / "originals"
    for each in (seen / "apparmor.d/local", etc, originals):
        each.mkdir(parents=True)
    for name, text in (("before", "theirs\n"), ("packaged", "as it came\n"), ("edited", "mine\n")):
        (seen / name).write_text(text)
    (seen / "apparmor.d/local/usr.bin.man").touch()
    files = ("before", "packaged", "edited", "apparmor.d/local/usr.bin.man")
    (tmp_path / "purge/were").write_text("".join(f"./{name}\n" for name in files))
    (tmp_path / "purge/packaged").write_text(f"{etc}/packaged\n")
    (tmp_path / "etc-before").write_text(f"{etc}/before\n")
    script = str(KEPT).replace("/etc/", f"{etc}/").replace(manifest.ORIGINALS, str(originals))
    script = script.replace(manifest.BEFORE, str(tmp_path / "etc-before"))
    subprocess.run(["sh", "-c", f"t={tmp_path}/purge; {script}"], check=True)
    assert [each.name for each in etc.iterdir()] == ["before"]
    assert [(each.name.rpartition("-")[2], each.read_text()) for each in originals.iterdir()] == [("edited", "mine\n")]


def test_a_group_that_was_there_before_our_package_stays(tmp_path: Path) -> None:
    """As docker's is, which both docker-ce and docker.io have made: files may belong to its number."""
    for name in ("userdel", "groupdel"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$1" >> log\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "before").write_text("/etc/hosts\nroot\nnone-of-docker\n")
    script = f"accounts='none-of-docker none-of-ours'; {str(NO_ACCOUNTS).replace(manifest.BEFORE, 'before')}"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (tmp_path / "log").read_text() == "userdel none-of-ours\ngroupdel none-of-ours\n"
