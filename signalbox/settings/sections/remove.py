"""The section `remove`."""

from __future__ import annotations

from signalbox.fields.section import Section


class Remove(Section):
    """What remove.py takes away beside what Signalbox placed."""

    homes: bool
