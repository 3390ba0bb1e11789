"""The section `toolchain`."""

from __future__ import annotations

from signalbox.fields.section import Section


class Toolchain(Section):
    """mise, Node and Claude Code of the service user."""

    enabled: bool
