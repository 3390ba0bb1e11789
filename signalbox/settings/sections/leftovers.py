"""The section `leftovers`."""

from __future__ import annotations

from signalbox.fields.section import Section


class Leftovers(Section):
    """Taking away what earlier settings asked for."""

    enabled: bool
