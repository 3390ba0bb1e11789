"""Where a project has Signalbox from: the wheel or the commit that its pyproject.toml pins.

The name `signalbox` on PyPI is another project's, so nothing is ever installed by that name alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from signalbox.git import git
from signalbox.shipped import CLONE

NAME = "signalbox"
PYPROJECT = Path("pyproject.toml")
WHEELS = Path("wheels")
_WHEEL = re.compile(r"signalbox-([0-9][\w.!+]*)-py3-none-any\.whl")
COMMIT = re.compile(r"[0-9a-f]{40}")


class OriginError(Exception):
    """It is not known where Signalbox comes from; what to name."""


@dataclass(frozen=True)
class Origin:
    """A version of Signalbox. source: what stands for it in `[tool.uv.sources]`. wheel: a file that the project keeps
    a copy of. sha256: of the wheel, "" of a commit. told: what a person should know of it, "" for nothing.
    """

    version: str
    source: Mapping[str, str]
    wheel: Path | None = None
    sha256: str = ""
    told: str = ""

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.wheel:
            return f"{self.wheel.name}, sha256 {self.sha256[:12]}…"
        return f"{self.version}, commit {self.source['rev'][:12]}" if "rev" in self.source else self.version


def of_this() -> Origin:
    """Return the version that runs here.

    Raises:
        OriginError: it was installed by its name, or what it was installed from is gone.
    """
    if CLONE is not None:
        return of_clone(CLONE)
    found = _direct_url()
    url, vcs = str(found.get("url", "")), found.get("vcs_info") or {}
    if COMMIT.fullmatch(str(vcs.get("commit_id"))):
        return Origin(version(NAME), {"git": url, "rev": str(vcs["commit_id"])})
    if url.startswith("file:") and url.endswith(".whl"):
        return of_wheel(Path(unquote(urlsplit(url).path)))
    if url.startswith("https://") and url.endswith(".whl"):
        return Origin(version(NAME), {"url": url})
    raise OriginError(
        "this Signalbox was installed neither from a wheel nor from a commit, so a project cannot say which it wants: "
        "name the wheel with --wheel FILE"
    )


def of_wheel(path: Path) -> Origin:
    """Return the version that a wheel has.

    Raises:
        OriginError: there is no such file, or it is no wheel of ours.
    """
    version_there = version_of(str(path))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise OriginError(f"{path}: the wheel cannot be read ({error.strerror}); name it with --wheel FILE") from None
    return Origin(version_there, {"path": str(WHEELS / path.name)}, path.absolute(), digest)


def version_of(wheel: str) -> str:
    """Return the version that the name of a wheel has, of which this is path or address. Raises OriginError."""
    named = _WHEEL.fullmatch(wheel.rpartition("/")[2])
    if named is None:
        raise OriginError(f"{wheel}: is no wheel of Signalbox; their names are signalbox-VERSION-py3-none-any.whl")
    return named[1]


def of_clone(clone: Path, commit: str | None = None) -> Origin:
    """Return the commit that is checked out in a clone, or another: at its origin if that has it, else in the clone.

    Raises:
        OriginError: it has no commit.
    """
    head = _said(clone, "rev-parse", "--verify", f"{commit or 'HEAD'}^{{commit}}")
    if not COMMIT.fullmatch(head):
        raise OriginError(f"{clone}: has no commit that a project could pin; name a wheel with --wheel FILE")
    remote = _said(clone, "config", "--get", "remote.origin.url")
    pushed = _said(clone, "for-each-ref", "--count=1", "--contains", head, "refs/remotes/origin")
    where = remote if pushed and _fetched_by_uv(remote) else clone.resolve().as_uri()
    told = [] if where == remote else [f"the pin leads to {clone} on this machine, as no other place has that commit"]
    if commit is None and _said(clone, "diff-index", "HEAD", "--"):
        told.append("what is changed in the clone is no part of it")
    return Origin(_version_in(clone), {"git": where, "rev": head}, told="; ".join(told))


def _fetched_by_uv(url: str) -> bool:
    return url.startswith(("https://", "ssh://"))


def _version_in(clone: Path) -> str:
    found = re.search(r'^version = "([^"]+)"$', (clone / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise OriginError(f"{clone}/pyproject.toml: has no version")
    return found[1]


def pinned_elsewhere(root: Path) -> str:
    """Return which version a project pins, in words, where it is another than this one; "" where it is this one.

    A clone's code is run by who works on it, so that counts as the one that is meant.
    """
    if CLONE is not None:
        return ""
    try:
        data = tomllib.loads((root / PYPROJECT).read_text(encoding="utf-8"))
        source, wanted = data["tool"]["uv"]["sources"][NAME], data["project"]["dependencies"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    commit = str(source.get("rev", "")) if isinstance(source, dict) else ""
    here = str((_direct_url().get("vcs_info") or {}).get("commit_id", ""))
    if commit:
        return "" if commit == here else f"commit {commit[:12]}"
    found = [each.partition("==")[2].strip() for each in wanted if re.match(rf"{NAME}\s*==", str(each))]
    return f"version {found[0]}" if found and found[0] != version(NAME) else ""


def _said(clone: Path, *words: str) -> str:
    try:
        done = git(*words, directory=clone)
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.decode(errors="replace").strip()


def _direct_url() -> dict[str, Any]:
    """Return what the installer has noted of where the package is from (PEP 610)."""
    try:
        text = distribution(NAME).read_text("direct_url.json")
        found = json.loads(text or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
