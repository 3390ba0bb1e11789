"""Pull mode: a host brings itself to the newest commit of its own checkout, if a listed key has signed it."""

from __future__ import annotations

import json
import pprint
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts, services
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "pull",
    "hosts that nobody can reach by ssh",
    "The recipe of docs/fleet.md on a real host with its timer: a root-owned checkout, only commits that a listed key "
    "has signed, a vault key for the host's own secrets file only. What is refused is told and deploys nothing; what "
    "is signed is applied by the timer; the journal holds no secret.",
)

CHECKOUT, ORIGIN, ETC = "/opt/signalbox", "/srv/fleet.git", "/etc/signalbox-pull"
UNIT = "signalbox-pull.service"
SCOPE = re.sub(r"\W", "_", HOST)  # the group that the inventory makes of the host's name
# Where the timer waits a quarter of an hour, a drill does not.
SOON = "[Timer]\nOnBootSec=\nOnActiveSec=1s\nOnUnitInactiveSec=15min\nRandomizedDelaySec=0\nAccuracySec=100ms\n"
MARK = "/etc/issue"  # what the change that is pulled is seen by


class Fleet:
    """A repository of the owner's, its clone on the host, and the keys that may sign."""

    def __init__(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.work, self._keys = directory / "fleet", directory
        self.work.mkdir(parents=True, mode=0o700)
        for name in ("listed", "other"):
            _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], directory)
        self._git("init", "-q", "-b", "main")
        # The code as it is here, committed or not.
        files = _run(["git", "ls-files", "-co", "--exclude-standard", "-z"], PROJECT).split("\0")
        for name in filter(lambda each: each and (PROJECT / each).is_file(), files):
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, self.work / name)

    @property
    def signers(self) -> str:
        """The file of who may sign, as ssh-keygen(1) has it."""
        return f"ops {(self._keys / 'listed.pub').read_text()}"

    def settings(self, banner: str) -> None:
        """Have the host's settings: those of the lab, with this banner."""
        sections = {**services.lab_settings(), "hardening": {"banner": banner}}
        sections["extra_ca_certificates"] = [self._own(path) for path in sections["extra_ca_certificates"]]
        account = sections["service_user"]
        sections["service_user"] = {**account, "authorized_keys": [self._own(p) for p in account["authorized_keys"]]}
        text = "\n".join(f"{name} = {pprint.pformat(value)}" for name, value in sections.items())
        (self.work / "group_data" / f"{SCOPE}.py").write_text(f"{text}\n")

    def _own(self, path: str) -> str:
        """Have a copy of this file in the repository, and return its path there."""
        (self.work / "files").mkdir(exist_ok=True)
        return str(Path(shutil.copy(path, self.work / "files")).relative_to(self.work))

    def vault(self, scope: str, values: dict[str, str]) -> Path:
        """Make a file of secrets as its owner would, and return its key."""
        key = self._keys / f"{scope}.key"
        command = [
            sys.executable,
            "-c",
            "from signalbox.commands.cli import main; main()",
            "secrets",
            "--key",
            f"file:{key}",
        ]
        _run([*command, "init", "--for", scope], self.work)
        for name, value in values.items():
            _run([*command, "set", name, "--for", scope], self.work, stdin=value)
        return key

    def commit(self, message: str, key: str | None) -> str:
        """Commit what has changed, signed by this key or nobody, and hand it to the origin. Returns its short id."""
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self._keys}/{key}.pub", "-c", "commit.gpgsign=true"]
        who = ["-c", "user.name=ops", "-c", "user.email=ops@example.org"]
        self._git("add", "-A")
        self._git(*who, *(signing if key else []), "commit", "-q", "--allow-empty", "-m", message)
        self._git("bundle", "create", "-q", "../fleet.bundle", "main")
        _to_host((self.work.parent / "fleet.bundle").read_bytes(), "/srv/fleet.bundle")
        fetch = f"git -C {ORIGIN} fetch -q --force /srv/fleet.bundle main:main"
        looks.answer(f"[ -d {ORIGIN} ] || git init -q --bare -b main {ORIGIN}; {fetch}", user="root")
        return self._git("rev-parse", "--short", "HEAD").strip()

    def _git(self, *words: str) -> str:
        return _run(["git", *words], self.work)


def _run(words: Sequence[str], place: Path, stdin: str = "") -> str:
    done = subprocess.run(words, cwd=place, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def _to_host(content: bytes, path: str, mode: str = "644") -> None:
    words = access.ssh(Lab.current(), HOST, "root")
    subprocess.run([*words, f"install -m {mode} /dev/stdin {path}"], input=content, check=True, capture_output=True)


@contextmanager
def _pulling() -> Iterator[Fleet]:
    """Set the recipe up on the shared host, the timer but not started; at the end nothing of it is left."""
    fleet = Fleet(Lab.current().state / "pull")
    fleet.settings("as the first commit has it")
    key = fleet.vault(SCOPE, services.environment())
    fleet.vault("other", {"OTHER_HOSTS_KEY": "other-hosts-secret"})
    fleet.commit("first", "listed")
    script = f"""
    git clone -q {ORIGIN} {CHECKOUT} && install -d -m 755 {ETC}
    install -m 644 {CHECKOUT}/examples/pull/signalbox-pull.* /etc/systemd/system/
    install -d /etc/systemd/system/signalbox-pull.timer.d
    """
    try:
        looks.answer(f"set -e; umask 022; {script}", user="root")
        _to_host(fleet.signers.encode(), f"{ETC}/signers")
        _to_host(key.read_bytes(), f"{ETC}/vault.key", "600")
        _to_host(SOON.encode(), "/etc/systemd/system/signalbox-pull.timer.d/soon.conf")
        looks.answer("systemctl daemon-reload", user="root")
        yield fleet
    finally:
        gone = f"{CHECKOUT} {ORIGIN} {ETC} /srv/fleet.bundle /etc/systemd/system/signalbox-pull.*"
        stop = f"systemctl stop signalbox-pull.timer {UNIT}; systemctl reset-failed {UNIT} 2>/dev/null"
        looks.answer(f"{stop}; rm -rf {gone} && systemctl daemon-reload", user="root")


def _by_timer(seconds: float) -> str:
    """Have the timer start the unit; return how it ended: systemd's word for its result."""
    words = "ActiveState,Result,ExecMainExitTimestampMonotonic"

    def now() -> dict[str, str]:
        lines = looks.answer(f"systemctl show {UNIT} -p {words}", user="root").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def ended() -> bool:
        seen.update(now())
        exited = seen["ExecMainExitTimestampMonotonic"] != before["ExecMainExitTimestampMonotonic"]
        return exited and seen["ActiveState"] in ("inactive", "failed")

    before, seen = now(), dict[str, str]()
    looks.answer(f"systemctl reset-failed {UNIT} 2>/dev/null; systemctl restart signalbox-pull.timer", user="root")
    assert wait_until(ended, seconds, 0.5), _journal()
    return seen["Result"]


def _journal() -> str:
    return looks.answer(f"journalctl -q -u {UNIT} --no-pager -o cat", user="root")


def _head() -> str:
    return looks.answer(f"git -C {CHECKOUT} rev-parse --short HEAD", user="root")


def _deploys() -> int:
    return int(looks.answer("cat /var/log/signalbox/deploys.jsonl | wc -l", user="root"))


def _refused(fleet: Fleet, message: str, key: str | None) -> str:
    """AssertionError unless a commit that this key signed is refused, and told. Returns what the journal says."""
    was, deploys, issue = _head(), _deploys(), looks.answer(f"cat {MARK}", user="root")
    fleet.settings(message)
    commit = fleet.commit(message, key)
    assert _by_timer(60) == "exit-code", f"it did not fail: {_journal()}"
    told = f"signalbox-pull: {commit} is signed by nobody in {ETC}/signers; nothing was deployed"
    assert told in _journal(), _journal()
    assert (_head(), _deploys(), looks.answer(f"cat {MARK}", user="root")) == (was, deploys, issue)
    return told


@drill.cell("refused", fixed=True)
def refused(stage: Stage) -> Figures:
    """A commit that nobody has signed, or a key that is not listed, is refused by the timer's unit and told."""
    stage.converged()
    with _pulling() as fleet:
        first = _refused(fleet, "unsigned", None)
        second = _refused(fleet, "signed by another", "other")
        looks.answer(f"git -C {CHECKOUT} fetch -q", user="root")
        verify = f"git -C {CHECKOUT} -c gpg.ssh.allowedSignersFile={ETC}/signers verify-commit"
        looks.answer(f"{verify} HEAD", user="root")
        control = must_fail(lambda: looks.answer(f"{verify} FETCH_HEAD", user="root"), "the commit that was refused")
    return {"unsigned": first, "of another key": second, "the checkout": "as it was", "control": control}


@drill.cell("applied")
def applied(stage: Stage) -> Figures:
    """A signed commit is applied by the timer; no secret is in the journal, and the key opens no other host's file."""
    site = stage.converged()
    uv = shutil.which("uv") or str(PROJECT / ".signalbox/uv/bin/uv")
    _to_host(Path(uv).read_bytes(), "/usr/local/bin/uv", "755")
    try:
        with _pulling() as fleet:
            fleet.settings("pulled by its timer")
            commit = fleet.commit("a change", "listed")
            deploys = _deploys()
            assert _by_timer(600) == "success", _journal()[-3000:]
            assert looks.answer(f"cat {MARK}", user="root") == "pulled by its timer"
            assert (_head(), _deploys()) == (commit, deploys + 1)
            looks.user_units()
            looks.gateway()
            record = json.loads(looks.answer("tail -n1 /var/log/signalbox/deploys.jsonl", user="root"))
            assert (record["commit"][:7], record["result"]) == (commit[:7], "changed"), record
            again = _by_timer(600)
            clean = json.loads(looks.answer("tail -n1 /var/log/signalbox/deploys.jsonl", user="root"))
            assert (again, clean["result"]) == ("success", "unchanged"), clean
            values = [*services.environment().values(), "other-hosts-secret"]
            _not_in_the_journal(values)
            looks.answer("logger drill-said-aloud", user="root")
            control = must_fail(lambda: _not_in_the_journal([*values, "drill-said-aloud"]), "one said aloud")
            get = "uv run --frozen --no-dev signalbox secrets --key file:/etc/signalbox-pull/vault.key get -y"
            name, value = next(iter(services.environment().items()))
            own = looks.answer(f"cd {CHECKOUT} && {get} {name} --for {SCOPE}", user="root")
            assert own == value, "its own secret is not told"
            other = hosts.run(HOST, f"cd {CHECKOUT} && {get} OTHER_HOSTS_KEY --for other", check=False)
            assert other.returncode != 0
            assert "other-hosts-secret" not in other.stdout + other.stderr
            told = other.stderr.strip().splitlines()[-1]
    finally:
        looks.answer("rm -rf /usr/local/bin/uv /root/.cache/uv /root/.local /root/.cache", user="root")
        site.deploy().ok()
    changes = f"{len(record['changed'])} changes in {record['seconds']} s"
    return {"applied": f"{commit}, {changes}", "again": clean["result"], "journal": f"none of {len(values)} secrets",
            "another host's file": told[:160], "control": control}  # fmt: skip


def _not_in_the_journal(values: Sequence[str]) -> None:
    # The words come over stdin, which in a pipe would be the journal.
    search = "exec 3<&0; journalctl -q -b --no-pager -o export | grep -a -c -F -f /dev/fd/3 || true"
    found = hosts.run(HOST, search, stdin="\n".join(values) + "\n").stdout.strip()
    assert found == "0", f"{found} lines of the journal"
