"""Looks everywhere for a secret that went its way: what the controller and a host have shown, started and written."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks, traces
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.inventory import write_inventory

PATTERNS = "/run/drill-patterns"
# The control's files on the host: for a moment and for longer, for all to read, a shell's history, and any other.
DECOYS = ("/tmp/decoy", "/usr/local/share/decoy", "/root/.decoy_history", "/root/decoy")  # noqa: S108 (the host's)
SEEN = ("stdout", "stderr", "plan's JSON", "argv, controller", "argv, host", "writes to files, host")
# Where a file of the host that holds a secret belongs: its path, and its mode.
FILES = (
    ("shell history, host", r"_history$", r".*"),
    ("temporary files, host", r"^/(tmp|var/tmp|run)/", r".*"),
    ("image layers and container storage", r"/\.local/share/docker/", r".*"),
    ("world-readable files, host", r"", r".*[4567]"),
    ("other files, host", r"", r".*[0123]"),
)
RUN = f"/run/user/$(id -u {looks.GATEWAY_USER})/litellm"


def _forms(value: str) -> list[str]:
    """Return what would tell a secret: itself, encoded, or hashed as it is."""
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (value, f"{value}\n")]
    return [value, *(_base64(value.encode(), before) for before in range(3)), value.encode().hex(), *hashes]


def _base64(value: bytes, before: int) -> str:
    """Return what of the value's base64 does not depend on what stands before it, so many bytes (mod 3), and after."""
    text = base64.b64encode(bytes(before) + value).decode()
    return text[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]


class Search:
    """What was seen on the controller and the host while a secret went its way; `found` looks for one in all of it."""

    def __init__(self, stage: Stage, settings: Mapping[str, Any]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.place = Path(self._directory.name)
        self.inventory = self.place / "hosts.py"
        write_inventory([HOST], merge(stage.site().settings, dict(settings)), {}, self.inventory)
        self.seen = dict.fromkeys(SEEN, "")
        self.statuses: list[int] = []
        self.copied: list[str] = []  # on the host, by the kernel, to a file, from where a secret may be
        self._by_design = looks.answer(f"echo {RUN}", user="root")  # where the gateway's start decrypts to
        looks.mark()

    def run(self, *command: str, stdin: str = "", cwd: Path = PROJECT, **environment: str) -> str:
        """Run a command of the controller, traced; return its output."""
        own = {"XDG_STATE_HOME": str(self.place), "TMPDIR": str(self.place), "PYINFRA_PROGRESS": "off"}
        ran = traces.run(command, cwd, {**own, **environment}, stdin)
        self.seen["stdout"] += ran.stdout
        self.seen["stderr"] += ran.stderr
        self.seen["argv, controller"] += ran.started
        if "--json" in command:
            self.seen["plan's JSON"] += ran.stdout
        self.statuses.append(ran.status)
        return ran.stdout + ran.stderr

    @contextmanager
    def host_traced(self) -> Iterator[None]:
        """Trace what is started on the host, and what is written there."""
        with traces.HostTrace() as trace:
            yield
        self.seen["argv, host"] += trace.started()
        lines = trace.written().splitlines()
        self.seen["writes to files, host"] += "\n".join(line for line in lines if self._by_design not in line)
        # What is copied from a file is on disk, or was seen when that was written; but for these. To /dev/fuse goes
        # what a container reads of its own file system: container storage, which is searched.
        self.copied += [
            f"{source} to {to}"
            for source, to in trace.copied()
            if source.startswith((self._by_design, "pipe:")) and not to.startswith((self._by_design, "/dev/fuse"))
        ]

    def nowhere(self, *values: str, layers: bool = False) -> None:
        """AssertionError when one of these secrets was found."""
        for value in values:
            there = {where: what for where, what in self.found(value, layers=layers).items() if what}
            assert not there, f"the secret was found: {there}"
        assert not self.copied, f"unseen copies: {self.copied}"

    def found(self, value: str, *, layers: bool = False) -> dict[str, list[str]]:
        """Return where the secret, or what tells it, was found; `layers`: images and other container storage too."""
        texts = {
            **self.seen,
            "pyinfra's log": _text([PROJECT / "pyinfra-debug.log"]),
            "shell history, controller": _text(sorted(Path.home().glob(".*_history"))),
            "other files, controller": _text(path for path in self.place.rglob("*") if path.is_file()),
            "docker inspect": _of_docker("docker ps -a --no-trunc; docker inspect $(docker ps -aq; docker images -q)"),
            "docker's logs and image history": _of_docker(
                "for i in $(docker image ls -q); do docker image history --no-trunc $i; done;"
                " for c in $(docker ps -aq); do docker logs $c; done"
            ),
        }
        found = {where: [form for form in _forms(value) if form in text] for where, text in texts.items()}
        count, *lines = self._on_disk(value, layers)
        found["journal"] = [f"{count} entries"] if int(count) else []
        files = [tuple(line.split(" ", 1)) for line in lines]
        for where, pattern, modes in FILES:
            found[where] = [path for mode, path in files if re.search(pattern, path) and re.fullmatch(modes, mode)]
        return found

    def _on_disk(self, value: str, layers: bool) -> list[str]:
        """Return how many entries of the host's journal hold it, and "mode path" of each file there that does."""
        # What was written since the search began can hold the secret; images are looked through from the first layer.
        files = "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -type f -newercm /run/drill-mark"
        files += f" -print0 | xargs -0 -r grep -laF -f {PATTERNS}"
        if layers:
            files = f"grep -rlaF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -f {PATTERNS} /"
        entries = f"journalctl --no-pager -o export | grep -caF -f {PATTERNS} || true"
        show = f"{{ {files} || true; }} 2>/dev/null | xargs -r -d '\\n' stat -c '%a %n' 2>/dev/null || true"
        look = f"umask 077; cat > {PATTERNS}; {entries}; {show}; rm {PATTERNS}"
        patterns = "".join(f"{form}\n" for form in _forms(value))
        count, *lines = hosts.run(HOST, look, stdin=patterns, timeout=400).stdout.splitlines()
        skipped = (f"600 {PATTERNS}", f"600 {self._by_design}/")
        return [count, *(line for line in lines if not line.startswith(skipped))]

    def close(self) -> None:
        """Remove what the controller has written."""
        (PROJECT / "pyinfra-debug.log").unlink(missing_ok=True)
        self._directory.cleanup()


def _text(paths: Iterable[Path]) -> str:
    return "\n".join(path.read_text(errors="replace") for path in paths if path.is_file())


def _of_docker(commands: str) -> str:
    """Return what these commands say of the Docker of each user."""
    each = "".join(
        f"runuser -u {user} -- env DOCKER_HOST=unix:///run/user/$(id -u {user})/docker.sock sh -c '{commands}' 2>&1;"
        for user in ("claude", looks.GATEWAY_USER)
    )
    return hosts.run(HOST, each, check=False, timeout=240).stdout
