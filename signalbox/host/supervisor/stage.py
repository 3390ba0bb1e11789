"""Puts what the gateway's next container starts from into memory: what is on disk now, with its keys.

    stage.py WANTED RUNTIME STATE

Runs before each start and each reload of litellm.service, outside of its sandbox, which would stop systemd-creds.
WANTED: directory with config.yaml, start and container.json: becomes RUNTIME/next. STATE/good, which holds the last
of these files that came up healthy, becomes RUNTIME/good. Exit status 1, and why, when what is wanted has no keys.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

FILES = ("config.yaml", "start", "container.json")
PATIENCE = 4  # seconds for a name server to answer, and for all who hear mDNS


class KeyMissingError(Exception):
    """A key that the container needs cannot be read; which, and why."""


def stage(contents: Mapping[str, str], target: Path, wanted: Path) -> None:
    """Write the files with the keys that they name to `target`; note the hashes of all, as if they were in `wanted`."""
    shutil.rmtree(target, ignore_errors=True)
    secrets = target / "secrets"
    secrets.mkdir(parents=True)
    hashes = {wanted / name: hashlib.sha256(content.encode()).hexdigest() for name, content in contents.items()}
    for name, content in contents.items():
        (target / name).write_text(content)
    (target / "start").chmod(0o700)
    plan = json.loads(contents["container.json"])
    (target / "hosts").write_text("".join(f"{name}:{ip}\n" for name, ip in known_here(plan.get("names", ())).items()))
    for name, (file, reader) in plan["secrets"].items():
        with contextlib.suppress(OSError):
            hashes[file] = digest(Path(file))
        done = subprocess.run(reader, shell=True, capture_output=True, check=False)  # noqa: S602 (the deploy's own)
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip()
            raise KeyMissingError(f"{name} cannot be read; run the deploy again\n{told}")
        (secrets / name).write_bytes(done.stdout)
    # By which a container knows the supervisor: each its own, so that whoever has another one's, or the gateway's key
    # of yesterday, gets nothing from a container that ends its last requests.
    (secrets / "RELAY").write_text(token_hex(32))
    (target / "inputs").write_text("".join(f"{each}  {file}\n" for file, each in hashes.items()))


def known_here(names: Sequence[str], hosts: Path = Path("/etc/hosts")) -> dict[str, str]:
    """Return the address of those of the names that this host knows and DNS does not: a container asks DNS alone."""
    found = in_file(names, hosts)
    others = [name for name in names if name not in found]
    with ThreadPoolExecutor(max_workers=len(others) or 1) as pool:  # a name that nobody knows takes its time
        return found | {name: ip for name, ip in zip(others, pool.map(otherwise, others), strict=True) if ip}


def otherwise(name: str) -> str | None:
    """Return the address that this host's resolver finds for a name by more than DNS, such as mDNS; None: none."""
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        if not looked_up("-s", "dns", "ahostsv4", name):
            return next((ip for ip in looked_up("ahostsv4", name) if not ipaddress.ip_address(ip).is_loopback), None)
    return None


def looked_up(*words: str) -> list[str]:
    """Return the addresses that getent(1) prints. subprocess.TimeoutExpired: it takes too long."""
    done = subprocess.run(["getent", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def in_file(names: Sequence[str], hosts: Path) -> dict[str, str]:
    """Return the address of those of the names that stand in the host's own file."""
    found: dict[str, str] = {}
    for line in hosts.read_text(errors="replace").splitlines() if hosts.exists() else ():
        ip, *here = line.partition("#")[0].split() or [""]
        with contextlib.suppress(ValueError):
            if not ipaddress.ip_address(ip).is_loopback:
                found |= {name: ip for name in names if name in here and name not in found}
    return found


def digest(path: Path) -> str:
    """Return what the deploy compares a key's file by: of a plain one no hash, from which it could be guessed."""
    if path.suffix == ".key":
        status = path.stat()
        return f"{status.st_ino}-{int(status.st_ctime)}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(wanted: Path, runtime: Path, state: Path) -> int:
    """Stage both. Returns the exit status."""
    os.umask(0o077)
    for name in ("inputs", "refused"):  # where the deploy and the doctor look, of each unit
        link = runtime.with_name(f"litellm.service.{name}")
        if not link.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(runtime / name)
    try:
        stage(json.loads((state / "good").read_text()), runtime / "good", wanted)
    except (KeyMissingError, OSError, ValueError):
        shutil.rmtree(runtime / "good", ignore_errors=True)  # there is none, or it needs what is there no more
    try:
        stage({name: (wanted / name).read_text() for name in FILES}, runtime / "next", wanted)
    except (KeyMissingError, OSError, ValueError) as error:
        (runtime / "refused").write_text(f"{error}\n")
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
