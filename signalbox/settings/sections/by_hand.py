"""The section `by_hand`."""

from __future__ import annotations

from signalbox.fields.paths import HomePath
from signalbox.fields.section import Section
from signalbox.fields.system import ContainerName, FunctionName


class ByHand(Section):
    """What the service user has by hand, by the guide, and Signalbox does in its place: it is set aside."""

    enabled: bool
    containers: list[ContainerName]
    files: list[HomePath]
    functions: list[FunctionName]
