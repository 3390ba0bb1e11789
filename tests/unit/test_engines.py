"""A Docker of a user's own: what ran in it runs again after a restart, and when we are gone."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from signalbox.operations.engines import BEGUN, NOTED
from signalbox.shell import sh
from signalbox.shell.manifest import Entry
from signalbox.shell.removal import ordered, removal, step_of
from signalbox.shell.removal.services import started_by_user

# Two containers run, one of ours among them; one that is not there any more cannot be begun.
DOCKER = """#!/bin/sh
echo "$@" >> calls
case "$*" in
  "ps "*) printf 'aa\\nbb ours\\ncc\\n' ;;
  "container inspect cc") exit 1 ;;
  "start dd") exit 1 ;;
esac
"""


def _run(tmp_path: Path, script: str) -> list[str]:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done
    return [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("start")]


def test_what_ran_is_begun_again_but_ours_and_what_is_gone(tmp_path: Path) -> None:
    assert _run(tmp_path, sh("status=0; {}; {}; exit $status", NOTED, BEGUN)) == ["start aa"]


def test_a_container_that_does_not_begin_again_is_a_failure(tmp_path: Path) -> None:
    assert _run(tmp_path, sh("status=0; ran=dd; {}; [ $status = 1 ]", BEGUN)) == ["start dd"]


SYSTEMCTL = """#!/bin/sh
case "$*" in *show*) echo "{ path=$PROGRAM ; argv[]=$PROGRAM --x ; ignore_errors=no ; }" ;; esac
echo "systemctl $@" >> calls
"""


@pytest.mark.parametrize(("program", "starts"), [("/bin/sh", ["start pages"]), ("/usr/bin/gone", [])])
def test_a_docker_whose_program_has_gone_is_left(tmp_path: Path, program: str, starts: list[str]) -> None:
    (tmp_path / "systemctl").write_text(SYSTEMCTL.replace("$PROGRAM", program))
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "calls").touch()
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        script = sh("export XDG_RUNTIME_DIR={}; {}", str(tmp_path), started_by_user("docker.service", ["pages"]))
        assert _run(tmp_path, script) == starts
    started = "systemctl --user start docker.service" in (tmp_path / "calls").read_text().splitlines()
    assert started == bool(starts)


def test_a_users_own_docker_begins_again_after_us() -> None:
    (command,) = removal([Entry("stopped", "claude:docker.service", "pages quiet")])
    assert "systemctl --user start docker.service && docker start pages quiet" in command
    (command,) = removal([Entry("stopped", "docker.service", "pages")])
    assert "systemctl start docker.service && docker -H unix:///run/docker.sock start pages" in command
    assert (
        "systemctl reset-failed docker.service 2>/dev/null; systemctl start" in command
    )  # it may have tried too often


def test_roots_docker_stays_off_until_our_packages_are_gone() -> None:
    """A host that is cut off in between boots without it: with ours it would take another storage driver."""
    mask = Entry("link", "/etc/systemd/system/docker.service", "/dev/null")
    other = Entry("link", "/usr/local/bin/claude-local", "/usr/local/lib/signalbox/launcher/launch.py")
    entries = [Entry("replaced", "docker-ce", "1", "docker.io"), mask, Entry("package", "fuse-overlayfs"), other]
    assert [each.id for each in ordered(entries)] == [other.id, "fuse-overlayfs", mask.id, "docker-ce"]
    assert [step_of(each) for each in (mask, other)] == ["replaced", "link"]
