"""Find what is not pinned, and resolve it from the mirrors."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from signalbox.pins import npm, oci
from signalbox.pins.errors import PinError
from signalbox.pins.web import Web
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.pins import ArchivePin, Pins

NAMES = ("mise", "node", "claude_code", "litellm")
PACKAGE = "@anthropic-ai/claude-code"
_ARCHITECTURES = {"amd64": "x64", "arm64": "arm64"}  # Debian's names: Node's

Progress = Callable[[str, int, int], None]  # what is downloaded, bytes so far, bytes in all (0: unknown)


@dataclass(frozen=True)
class Found:
    """One pin that was resolved.

    `path` is its place below `pins`; `url` is what it is the checksum of ("" where nothing is left to download).
    """

    path: tuple[str, ...]
    version: str
    old: str | None
    new: str
    source: str
    url: str

    @property
    def name(self) -> str:
        """`mise.sha256.amd64`"""
        return ".".join(self.path)

    def verify(self, web: Web, progress: Progress) -> None:
        """Download what this is the checksum of, and hash it.

        Raises:
            PinError: it cannot be had, or it is something else.
        """
        if not self.url:
            return
        integrity = self.new.startswith("sha512-")
        digest = web.digest(
            self.url,
            "sha512" if integrity else "sha256",
            self.name,
            lambda done, total: progress(self.name, done, total),
        )
        got = f"sha512-{base64.b64encode(digest).decode()}" if integrity else digest.hex()
        if got != self.new:
            raise PinError(f"{self.url}: its checksum is {got}, but {self.source} says {self.new}; do not trust it")


def unset(pins: Pins) -> list[str]:
    """The paths below `pins` that are None, such as "mise.sha256.arm64"."""
    return [".".join(path) for path, value in leaves(pins.model_dump()) if value is None]


def resolve(web: Web, pins: Pins, mirrors: Mirrors, names: Sequence[str], again: bool = False) -> Iterator[Found]:
    """Resolve what is not pinned.

    Args:
        names: of NAMES.
        again: resolve what is pinned already too.

    Yields:
        each pin as it is found. An architecture that a mirror does not offer is left out.

    Raises:
        PinError: a mirror does not answer, or does not have the version for any architecture.
    """
    known = dict(leaves(pins.model_dump()))
    for name in names:
        wanted = {path for path, value in known.items() if path[0] == name and (again or value is None)}
        wanted -= {path for path in wanted if path[-1] == "version"}
        if not wanted:
            continue
        for found in _RESOLVERS[name](web, pins, mirrors):
            if found.path in wanted:
                yield found


def leaves(data: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Yield each value of nested sections with its path."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


def _archives(web: Web, name: str, pin: ArchivePin, base: str, file: str) -> Iterator[Found]:
    """The archives of a version, from the SHASUMS256.txt beside them (sha256sum's format)."""
    directory = f"{base}/v{pin.version}"
    source = f"{directory}/SHASUMS256.txt"
    lines = (line.split() for line in web.text(source, f"{name} {pin.version}").splitlines())
    sums = {line[1].lstrip("*").removeprefix("./"): line[0] for line in lines if len(line) == 2}
    offered = 0
    for debian, node in _ARCHITECTURES.items():
        archive = file.format(version=pin.version, architecture=node)
        checksum = sums.get(archive)
        if checksum is None:
            continue
        if not re.fullmatch(r"[0-9a-f]{64}", checksum):
            raise PinError(f"{source}: the checksum of {archive} is no sha256; use another mirror")
        offered += 1
        old = getattr(pin.sha256, debian)
        yield Found((name, "sha256", debian), pin.version, old, checksum, source, f"{directory}/{archive}")
    if not offered:
        raise PinError(f"{source}: names no archive for linux-x64 or linux-arm64; check mirrors.{name}")


def _mise(web: Web, pins: Pins, mirrors: Mirrors) -> Iterator[Found]:
    return _archives(web, "mise", pins.mise, mirrors.mise, "mise-v{version}-linux-{architecture}.tar.gz")


def _node(web: Web, pins: Pins, mirrors: Mirrors) -> Iterator[Found]:
    return _archives(web, "node", pins.node, mirrors.node, "node-v{version}-linux-{architecture}.tar.gz")


def _claude_code(web: Web, pins: Pins, mirrors: Mirrors) -> Iterator[Found]:
    """The npm package and the packages of its binaries, which are its optional dependencies."""
    pin = pins.claude_code
    source = mirrors.npm or "npm"

    def found(key: str, it: npm.Package) -> Found:
        path = ("claude_code", "integrity", key)
        return Found(path, pin.version, getattr(pin.integrity, key), it.integrity, source, it.tarball)

    main = npm.package(web, PACKAGE, pin.version, mirrors.npm)
    yield found("package", main)
    offered = 0
    for debian, node in _ARCHITECTURES.items():
        binary = f"{PACKAGE}-linux-{node}"
        if binary in main.optional:
            offered += 1
            yield found(debian, npm.package(web, binary, main.optional[binary], mirrors.npm))
    if not offered:
        raise PinError(f"{PACKAGE} {pin.version}: has no binary for linux-x64 or linux-arm64; write another version")


def _litellm(web: Web, pins: Pins, mirrors: Mirrors) -> Iterator[Found]:
    pin = pins.litellm
    digest = oci.manifest_digest(web, mirrors.litellm, pin.version)
    yield Found(("litellm", "digest"), pin.version, pin.digest, digest, f"{mirrors.litellm}:{pin.version}", "")


_RESOLVERS: dict[str, Callable[[Web, Pins, Mirrors], Iterator[Found]]] = {
    "mise": _mise,
    "node": _node,
    "claude_code": _claude_code,
    "litellm": _litellm,
}
