"""A newer Signalbox for a project: tried beside it, with the project's own settings, before the pin is written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from signalbox.init.changelog import news
from signalbox.init.origin import COMMIT, NAME, PYPROJECT, WHEELS, Origin, OriginError, of_wheel, version_of
from signalbox.init.scaffold import keep_wheel, sources, table
from signalbox.pins.literals import replace as put
from signalbox.shipped import shipped

_SECONDS = 900  # for uv, which may have to build a commit and to fetch libraries
_DEPENDENCY = re.compile(r'"signalbox(?:\s*==\s*([^"]+))?"')
_SOURCE = re.compile(r"(?m)^signalbox\s*=\s*\{.*$")


@dataclass(frozen=True)
class Trial:
    """A newer version that was installed beside a project.

    origin: what it is. news: entries of its changelog that this version's has not. problems: what it says of the
    project's settings, "" for nothing.
    """

    origin: Origin
    news: list[str]
    problems: str
    _place: Path

    def pin(self, root: Path) -> None:
        """Have the project pin it. Raises OSError."""
        if self.origin.wheel:
            keep_wheel(root, self.origin.wheel)
        put(root / PYPROJECT, (self._place / PYPROJECT).read_text(encoding="utf-8"))
        put(root / "uv.lock", (self._place / "uv.lock").read_text(encoding="utf-8"))


def present(root: Path) -> Origin:
    """Return what a project pins.

    Raises:
        OriginError: it does not say.
    """
    source = sources(root / PYPROJECT).get(NAME)
    if not isinstance(source, Mapping):
        raise OriginError(f"{root / PYPROJECT} says nowhere which Signalbox is meant: [tool.uv.sources] has no {NAME}")
    found = _DEPENDENCY.search((root / PYPROJECT).read_text(encoding="utf-8"))
    version = found[1] or "" if found else ""
    return Origin(version, {str(key): str(value) for key, value in source.items()})


def wanted(given: str, now: Origin) -> Origin:
    """Return what is meant by a wheel's path, a wheel's address or a name of a commit; "": the newest commit.

    Raises:
        OriginError: there is no such thing.
    """
    if given.startswith("https://") and given.endswith(".whl"):
        return Origin(version_of(given), {"url": given})
    if given.endswith(".whl"):
        return of_wheel(Path(given).expanduser())
    if "git" not in now.source:
        raise OriginError(f"{PYPROJECT} pins a wheel: name the newer one, such as --self ~/signalbox-….whl")
    commit = given if COMMIT.fullmatch(given) else _commit(now.source["git"], given or "HEAD")
    return Origin("", {"git": now.source["git"], "rev": commit})


def _commit(url: str, name: str) -> str:
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--exit-code", "--", url, name, f"{name}^{{}}"], capture_output=True, text=True,
            check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OriginError(f"{url}: cannot be asked ({error})") from None
    found = [line.split("\t")[0] for line in done.stdout.splitlines()]
    if done.returncode or not found:
        raise OriginError(f"{url}: has no {name} ({done.stderr.strip() or 'no such branch or tag'})")
    return found[-1]  # of a tag that is an object of its own, the commit


@contextmanager
def tried(root: Path, origin: Origin) -> Iterator[Trial]:
    """Install a version beside a project, and have it look at the project's settings; nothing is written there.

    Raises:
        OriginError: it cannot be had.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise OriginError("uv is not installed, which fetches a newer Signalbox: https://docs.astral.sh/uv/")
    with tempfile.TemporaryDirectory(prefix="signalbox-newer-") as directory:
        place = Path(directory)
        for name in (PYPROJECT, Path("uv.lock")):
            if (root / name).exists():
                shutil.copyfile(root / name, place / name)
        if (root / WHEELS).is_dir():
            shutil.copytree(root / WHEELS, place / WHEELS)
        if origin.wheel:
            keep_wheel(place, origin.wheel)
        text = (place / PYPROJECT).read_text(encoding="utf-8")
        (place / PYPROJECT).write_text(repinned(text, origin))
        _uv(uv, place, "sync", "--quiet")
        installed = _installed(place)
        origin = replace(origin, version=installed)
        (place / PYPROJECT).write_text(repinned(text, origin))
        _uv(uv, place, "lock", "--quiet")
        (changelog,) = place.glob(".venv/lib/python3*/site-packages/signalbox/CHANGELOG.md")
        entries = news(changelog.read_text(encoding="utf-8"), shipped("CHANGELOG.md").read_text(encoding="utf-8"))
        yield Trial(origin, entries, _problems(place, root), place)


def repinned(text: str, origin: Origin) -> str:
    """Return a pyproject.toml that pins another version.

    Raises:
        OriginError: it is written otherwise than we had, so that a person has to.
    """
    line = f"signalbox = {{ {table(origin.source)} }}" + (f"  # sha256 {origin.sha256}" if origin.sha256 else "")
    dependency = f'"signalbox=={origin.version}"' if origin.version else '"signalbox"'
    result, lines = _SOURCE.subn(lambda _: line, text)
    result, dependencies = _DEPENDENCY.subn(lambda _: dependency, result)
    if (lines, dependencies) != (1, 1) or NAME not in tomllib.loads(result)["tool"]["uv"]["sources"]:
        raise OriginError(
            f"pyproject.toml has been changed: write there {dependency} among the dependencies, and {line}"
        )
    return result


def _uv(uv: str, place: Path, *words: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(
            [uv, *words], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise OriginError(f"uv took more than {_SECONDS} s to fetch it") from None
    if done.returncode:
        raise OriginError(f"it cannot be installed: {done.stderr.strip()[-800:]}")


def _installed(place: Path) -> str:
    found = [path.name for path in place.glob(".venv/lib/python3*/site-packages/signalbox-*.dist-info")]
    if len(found) != 1:
        raise OriginError("what was named is no Signalbox")
    return found[0].removeprefix("signalbox-").removesuffix(".dist-info")


def _problems(place: Path, root: Path) -> str:
    """Return what the version that is installed in `place` says of the settings of the project, "" for nothing."""
    done = subprocess.run(
        [str(place / ".venv/bin/signalbox"), "settings", "--check"], cwd=root, capture_output=True, text=True,
        check=False, timeout=120, stdin=subprocess.DEVNULL, env={**os.environ, "SIGNALBOX_PINNED": "1"},
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr.strip().removeprefix("Error: ") or "it cannot read the settings"
