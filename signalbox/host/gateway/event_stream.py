"""The events of an answer that comes as a stream, as far as we look at them on its way to the client.

Whatever an answer holds: looking at it takes time that is linear in its length, and raises nothing.
"""

from __future__ import annotations

MOST = 1 << 20  # bytes of a line: a longer one is passed on, and not looked at


class EventStream:
    """Gives the data of the events of a stream that comes in pieces; of one that is too long, nothing.

    An event is a line that begins with `data:`; whether blank lines are between them says nothing of their end.
    """

    def __init__(self) -> None:
        self._open = bytearray()
        self._skipped = False

    def take(self, piece: bytes) -> list[bytes]:
        """Return the data of the events that end in this piece."""
        end, *more = piece.split(b"\n")
        self._keep(end)
        if not more:
            return []
        *lines, rest = more
        if not self._skipped:
            lines.insert(0, bytes(self._open))
        self._open, self._skipped = bytearray(), False
        self._keep(rest)
        return [line[5:].strip() for line in lines if line.startswith(b"data:") and len(line) <= MOST]

    def _keep(self, part: bytes) -> None:
        self._skipped = self._skipped or len(self._open) + len(part) > MOST
        if self._skipped:
            self._open = bytearray()
        else:
            self._open += part
