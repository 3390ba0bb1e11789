"""What is looked at of an answer on its way to the client: its events, or one document, of a bounded length.

Whatever an answer holds: looking at it takes time that is linear in its length, and raises nothing.
"""

import json

MOST = 1 << 20  # bytes of a line or of a document: a longer one is passed on, and not looked at


class Lines:
    """Gives the data of the events of a stream that comes in pieces; of one that is too long, nothing.

    An event is a line that begins with `data:`; whether blank lines are between them says nothing of their end.
    """

    def __init__(self):
        self._open = bytearray()
        self._skipped = False

    def take(self, piece):
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

    def _keep(self, part):
        self._skipped = self._skipped or len(self._open) + len(part) > MOST
        if self._skipped:
            self._open = bytearray()
        else:
            self._open += part


class Document:
    """Keeps what comes in pieces, for as long as it is not too long."""

    def __init__(self, most=MOST):
        self._most, self._data = most, bytearray()
        self.length = 0

    @property
    def too_long(self):
        return self.length > self._most

    def take(self, piece):
        self.length += len(piece)
        if self.too_long:
            self._data = bytearray()
        else:
            self._data += piece

    def value(self):
        """Return the object that it is in JSON; {} where it is none, or too long."""
        return parsed(self._data)

    def forget(self):
        """Keep its length alone."""
        self._data = bytearray()


def parsed(data):
    """Return the object that this is in JSON; {} where it is none."""
    if data[:1].isalnum():  # no object begins so; the parser's error costs more
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):  # the second: nested too deeply
        return {}
    return value if isinstance(value, dict) else {}


def part(value, name):
    """Return the object below a name of an object; {} where there is none."""
    below = value.get(name) if isinstance(value, dict) else None
    return below if isinstance(below, dict) else {}


def parts(value, name):
    """Return the objects in the list below a name of an object."""
    below = value.get(name) if isinstance(value, dict) else None
    return [each for each in below if isinstance(each, dict)] if isinstance(below, list) else []


def text(value, name):
    """Return the text below a name of an object; "" where there is none."""
    below = value.get(name) if isinstance(value, dict) else None
    return below if isinstance(below, str) else ""
