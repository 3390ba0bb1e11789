"""The section `pins`."""

from __future__ import annotations

from pydantic import field_validator

from signalbox.fields.messages import show
from signalbox.fields.section import Section
from signalbox.fields.versions import Digest, Integrity, Sha256, Version

ARCHITECTURES = ("amd64", "arm64")  # as Debian calls them


class Checksums(Section):
    """A sha256 for each architecture; None: not resolved."""

    amd64: Sha256 | None
    arm64: Sha256 | None


class Integrities(Section):
    """npm's integrity of a package and of its binary for each architecture; None: not resolved."""

    package: Integrity | None
    amd64: Integrity | None
    arm64: Integrity | None


class ArchivePin(Section):
    """A version whose release archives have known checksums."""

    version: Version
    sha256: Checksums


class ClaudeCodePin(Section):
    """A version of Claude Code on npm."""

    version: Version
    integrity: Integrities

    @field_validator("version")
    @classmethod
    def works(cls, value: str) -> str:
        # Their own release notes: requests to endpoints other than Anthropic's fail.
        if value in {"2.1.265", "2.1.266", "2.1.267"}:
            raise ValueError(f"{show(value)} is broken on endpoints other than Anthropic's; write 2.1.268 or newer")
        return value


class ImagePin(Section):
    """An image's tag, for people, and the digest that decides."""

    version: Version
    digest: Digest | None

    @field_validator("version")
    @classmethod
    def clean(cls, value: str) -> str:
        if value in {"1.82.7", "1.82.8"}:
            raise ValueError(f"{show(value)} was malware that stole credentials; write another version")
        return value


class Pins(Section):
    """Versions with their checksums."""

    mise: ArchivePin
    node: ArchivePin
    claude_code: ClaudeCodePin
    litellm: ImagePin
