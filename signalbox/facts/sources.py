"""What apt can make of its sources, tried in directories of its own: the host's lists stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, records

_SECONDS = 150
# apt-get says E and W, apt itself Error and Warning.
_SAID = re.compile(r"^(E|W|Error|Warning): (.*)$")
_URI = re.compile(r"\b(?:https?|ftp|file|cdrom|mirror\+\w+)://?[^\s'\"]+|cdrom:\[[^\]]*\]")
_UNREADABLE = ("could not be read", "Conflicting values", "Malformed", "Type '", "parse", "is not known on line")
_WORDS = 300  # letters of apt's own


@dataclass(frozen=True)
class SourcesState:
    """unreadable: why apt reads no source at all, "": it does. broken: what is wrong with a source, by its file.

    known: those of the packages asked for of which a source knows; None: nothing was answered.
    """

    unreadable: str = ""
    broken: Mapping[str, str] = field(default_factory=dict)
    known: tuple[str, ...] | None = None


class Sources(HostFact[SourcesState]):
    """What `apt-get update` says, and which of these packages are to be had then."""

    patience = _SECONDS + 20

    def command(self, packages: Sequence[str]) -> Script:
        """Return the command. Root's own process reads the lists: apt's user does not come into these directories."""
        own = sh(
            "-o Dir::State::Lists=$t/lists -o Dir::Cache=$t/cache -o APT::Sandbox::User=root -o Acquire::Retries=0"
            " -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Debug::NoLocking=1"
        )
        return asked(
            sh(
                "export LC_ALL=C; t=$(mktemp -d /var/tmp/signalbox-apt-XXXXXXXX) && {{ mkdir -p $t/lists/partial"
                " $t/cache/archives/partial; printf 'update\\0'; apt-get {own} -q update 2>&1 | grep -E {said};"
                " printf '\\0known\\0'; apt-cache {own} pkgnames | grep -xF {packages}; printf '\\0files\\0';"
                " grep -rE {uri} /etc/apt/sources.list /etc/apt/sources.list.d | grep -vE {comment}; printf '\\0';"
                " rm -rf --one-file-system $t; }}",
                own=own,
                said="^(E|W|Error|Warning): ",
                packages=[word for name in packages for word in ("-e", name)],
                uri="://|cdrom:",
                comment=":[[:space:]]*#",
            ),
            seconds=_SECONDS,
        )

    default = SourcesState

    def process(self, output: list[str]) -> SourcesState:
        """Read what apt said, the names that it knows, and lines of its sources with the files that they are in."""
        told = {record[0]: record[1] for record in records(output, {"update": 1, "known": 1, "files": 1})}
        lines = [line.partition(":") for line in told.get("files", "").splitlines()]
        said = [match[2] for line in told.get("update", "").splitlines() if (match := _SAID.match(line))]
        unreadable = next((words for words in said if any(each in words for each in _UNREADABLE)), "")
        broken = dict[str, str]()
        for words in said:
            for found in _URI.findall(words)[:1]:
                of = _file(found, [(name, line) for name, _, line in lines])
                broken.setdefault(f"{of or found}", words[:_WORDS])
        return SourcesState(unreadable[:_WORDS], {} if unreadable else broken, tuple(told.get("known", "").split()))


def _file(uri: str, lines: Sequence[tuple[str, str]]) -> str:
    """Return the file that names this URI, by the longest part of it that a line has; "": none does."""
    rest = uri.rstrip("/")
    while rest.count("/") > 1 or rest.startswith("cdrom"):
        for name, line in lines:
            if rest in line:
                return name
        if "/" not in rest:
            break
        rest = rest.rpartition("/")[0].rstrip("/")
    host = re.match(r"[\w+]+:/*([^/\s\]]+)", uri)
    return next((name for name, line in lines if host and host[1] in line), "")
