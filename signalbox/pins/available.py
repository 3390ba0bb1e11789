"""Which version of a pinned thing its mirror offers as the newest, and where its changes are told."""

from __future__ import annotations

import re
from collections.abc import Callable

from signalbox.pins import npm, oci
from signalbox.pins.errors import PinError
from signalbox.pins.resolve import PACKAGE
from signalbox.pins.web import Web
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.pins import Pins


def newest(web: Web, name: str, pins: Pins, mirrors: Mirrors) -> str:
    """Return the newest version that the mirror offers of the same kind as the pinned one.

    Node: of the pinned major version. LiteLLM: among tags written like the pinned one. Claude Code: npm's `latest`.
    mise: the latest release.

    Raises:
        PinError: the mirror does not answer, or has no list of versions.
    """
    return _NEWEST[name](web, pins, mirrors)


def changes(name: str, version: str) -> str:
    """Return the address where people read what changed."""
    return _CHANGES[name].format(version=version, major=version.split(".")[0])


def ordered(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing two of one kind."""
    return tuple(map(int, re.findall(r"\d+", version)))


def _mise(web: Web, _pins: Pins, mirrors: Mirrors) -> str:
    # GitHub lists no files; /releases/latest leads to /releases/tag/v<version>.
    base = mirrors.mise
    if base.endswith("/releases/download"):
        url = f"{base.removesuffix('/download')}/latest"
        found = re.search(r"/tag/v(\d[\d.]*)$", str(web.get(url).url))
        if found:
            return str(found[1])
    raise PinError(f"{base}: has no list of versions; name the one you want: signalbox upgrade mise=VERSION")


def _node(web: Web, pins: Pins, mirrors: Mirrors) -> str:
    url, major = f"{mirrors.node}/index.json", pins.node.version.split(".")[0]
    answer = web.text(url, "Node's list of versions")
    offered: list[str] = re.findall(rf'"version"\s*:\s*"v({major}\.\d+\.\d+)"', answer)
    if not offered:
        raise PinError(f"{url}: names no version {major}; check mirrors.node")
    return max(offered, key=ordered)


def _claude_code(web: Web, _pins: Pins, mirrors: Mirrors) -> str:
    return npm.tagged(web, PACKAGE, "latest", mirrors.npm)


def _litellm(web: Web, pins: Pins, mirrors: Mirrors) -> str:
    pinned = pins.litellm.version
    alike = re.compile(r"\d+".join(map(re.escape, re.split(r"\d+", pinned))))
    offered = [tag for tag in oci.tags(web, mirrors.litellm) if alike.fullmatch(tag)]
    if not offered:
        raise PinError(f"{mirrors.litellm}: has no tag like {pinned}; check mirrors.litellm")
    return max(offered, key=ordered)


_NEWEST: dict[str, Callable[[Web, Pins, Mirrors], str]] = {
    "mise": _mise,
    "node": _node,
    "claude_code": _claude_code,
    "litellm": _litellm,
}
_CHANGES = {
    "mise": "https://github.com/jdx/mise/releases/tag/v{version}",
    "node": "https://github.com/nodejs/node/blob/main/doc/changelogs/CHANGELOG_V{major}.md#{version}",
    "claude_code": "https://github.com/anthropics/claude-code/blob/main/CHANGELOG.md",
    "litellm": "https://docs.litellm.ai/release_notes",
}
