"""What every part of the mirror is made with: a cache keyed by recipe, and archives that are the same each time."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from tests.lab.instance import cache_directory, locked
from tests.lab.machine import LabError, step

# Fast to pack and as fast to unpack as any other level: the network in between is a bridge of this machine.
GZIP_LEVEL = 1


def cached(name: str, version: str, source: ModuleType, build: Callable[[Path, str], object]) -> Path:
    """Return the directory that `build(directory, version)` fills, built once for this version and this `source`.

    `source` is the module that decides what comes out. The directory appears whole or not at all; of builders side by
    side one builds and the others wait for it.
    """
    recipe = hashlib.sha256(version.encode())
    for file in (__file__, str(source.__file__)):
        recipe.update(Path(file).read_bytes())
    key = recipe.hexdigest()[:12]
    path = cache_directory() / "mirror" / f"{name}-{key}"
    if path.is_dir():
        return path
    with locked(f"mirror-{path.name}"):
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            for left_over in path.parent.glob(f".{path.name}-*"):  # of a builder that was killed: it held the lock
                shutil.rmtree(left_over)
            with step(f"building the mirror's {name} {version}, once"):
                work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
                try:
                    build(work, version)
                    work.chmod(0o755)
                    work.rename(path)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
    return path


@dataclass(frozen=True)
class Packed:
    """A compressed tar archive: sha256 of the tar and of the file, in hex, and the file's size in bytes."""

    path: Path
    tar_sha256: str
    sha256: str
    size: int


def pack(directory: Path, names: list[str], archive: Path) -> Packed:
    """Write `names` of `directory` to a .tar.gz whose bytes depend on contents, modes and names alone."""
    command = ["tar", "--create", "--sort=name", "--mtime=@0", "--format=gnu", "--numeric-owner"]
    command += ["--directory", str(directory), "--", *names]
    inside, outside = hashlib.sha256(), hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar, archive.open("wb") as file:
        source = cast(IO[bytes], tar.stdout)
        with gzip.GzipFile("", "wb", GZIP_LEVEL, cast(IO[bytes], _Hashing(file, outside)), mtime=0) as compressed:
            while chunk := source.read(1 << 20):
                inside.update(chunk)
                compressed.write(chunk)
    if tar.returncode:
        raise LabError(f"tar could not pack {directory} (exit status {tar.returncode}); is the disk full?")
    return Packed(archive, inside.hexdigest(), outside.hexdigest(), archive.stat().st_size)


class _Hashing:
    """A file that is hashed while it is written, so that it need not be read again."""

    def __init__(self, file: IO[bytes], digest: hashlib._Hash) -> None:
        self._file, self._digest = file, digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def unpack(archive: Path, directory: Path) -> None:
    """Extract an npm package, without its leading `package/`, owned by root."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["tar", "--extract", "--file", str(archive), "--strip-components=1", "--no-same-owner"]
    done = subprocess.run([*command, "--directory", str(directory)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"tar could not unpack {archive.name}: {done.stderr.strip()}")


def remove(path: Path) -> None:
    """Remove a file or a tree that may be missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
