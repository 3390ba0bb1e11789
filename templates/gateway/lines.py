"""What is looked at of an answer on its way to the client: its lines, or one document, of a bounded length.

Whatever an answer holds: looking at it takes time that is linear in its length, and raises nothing.
"""

import json

MOST = 1 << 20  # bytes of a line or of a document: a longer one is passed on, and not looked at


class Lines:
    """Gives the lines of what comes in pieces, without their ends; of one that is too long, nothing."""

    def __init__(self):
        self._open = bytearray()
        self._skipped = False

    def take(self, piece):
        """Return the lines that end in this piece."""
        *ends, rest = piece.split(b"\n")
        lines = []
        for end in ends:
            self._keep(end)
            if not self._skipped:
                lines.append(bytes(self._open))
            self._open, self._skipped = bytearray(), False
        self._keep(rest)
        return lines

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


def events(lines):
    """Yield the data of the events of a stream that these lines are of."""
    for line in lines:
        if line.startswith(b"data:"):
            yield line[5:].strip()


def parsed(data):
    """Return the object that this is in JSON; {} where it is none."""
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
