"""Reading within bounds: files that anybody may have put there, JSON of whoever sent it, servers that may stall."""

from __future__ import annotations

import json
import os
import ssl
import stat
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import cache
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

FILE = 32 << 20  # bytes: more than any file has that these programs read
LINE = 64 << 10  # bytes
ANSWER = 1 << 20  # bytes of a server's answer
NAMES = 4096  # files of one directory

Fetched = tuple[int, dict[str, str], bytes]


def text_of(path: Path | str, limit: int = FILE) -> str:
    """Return a file's text; bytes that are no UTF-8 are replaced. Raises OSError as `bytes_of` does."""
    return bytes_of(path, limit).decode(errors="replace")


def bytes_of(path: Path | str, limit: int = FILE) -> bytes:
    """Return what a file holds. Raises OSError: also where it has more than `limit` bytes, or is no regular file."""
    with opened(path) as file:
        found = file.read(limit + 1)
    if len(found) > limit:
        raise OSError(0, f"it has more than {limit >> 10} KiB", str(path))
    return found


def lines_of(path: Path | str, longest: int = LINE) -> Iterator[bytes]:
    """Yield a file's lines, however many, but for those with more than `longest` bytes. Raises OSError."""
    with opened(path) as file:
        begins = True  # a line, and not the rest of one
        while piece := file.readline(longest):
            ended = piece.endswith(b"\n")
            if begins and (ended or len(piece) < longest):
                yield piece.rstrip(b"\n")
            begins = ended


def last_lines_of(path: Path | str, tail: int) -> list[bytes]:
    """Return the whole lines in the last `tail` bytes of a file, oldest first. Raises OSError."""
    with opened(path) as file:
        start = max(0, file.seek(0, os.SEEK_END) - tail)
        file.seek(start)
        lines = file.read(tail).split(b"\n")
    return lines[1:] if start else lines


def opened(path: Path | str) -> IO[bytes]:
    """Open a file for reading. Raises OSError: also for what is no regular file.

    Such a one is not opened at all: a pipe would block, a device may act, or never end.
    """
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)  # which is no opening yet
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OSError(0, "it is no regular file", str(path))
        return open(f"/proc/self/fd/{found}", "rb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(found)


def names_in(directory: Path, pattern: str = "*") -> list[Path]:
    """Return the files of a directory that fit, in order; some of very many, none where it cannot be read."""
    try:
        return sorted(islice(directory.glob(pattern), NAMES))
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return []


def json_of(text: str | bytes) -> Any:
    """Return what the JSON says. Raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def object_of_stdin(most: int) -> dict[str, Any] | None:
    """Return the JSON object in the first `most` characters of stdin; None: that is none."""
    try:
        told = json_of(sys.stdin.read(most))
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def fetched(request: urllib.request.Request, seconds: float, proxies: bool = False) -> Fetched:
    """Return status, headers and body of what a server answers; of a longer body the first ANSWER bytes.

    seconds: of silence; in all it may take twice as long. Redirections are answers: a server does not choose whom this
    host asks next, and with which key. Raises OSError.
    """
    came: list[Fetched | Exception] = []

    def ask() -> None:
        try:
            try:
                answer = _opener(proxies).open(request, timeout=seconds)
            except HTTPError as error:
                answer = error
            with answer:
                came.append((answer.status, dict(answer.headers), answer.read(ANSWER)))
        except Exception as error:  # told in the thread that waits
            came.append(error)

    asking = threading.Thread(target=ask, daemon=True)  # a server that sends a byte now and then holds it for ever
    asking.start()
    asking.join(2 * seconds)
    if not came:
        raise TimeoutError(f"no whole answer within {2 * seconds:g} s")
    if isinstance(came[0], (HTTPException, ValueError)):
        raise OSError(0, f"the answer is no HTTP ({type(came[0]).__name__})")
    if isinstance(came[0], Exception):
        raise came[0]
    return came[0]


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@cache
def _opener(proxies: bool) -> urllib.request.OpenerDirector:
    # Kept: reading the host's certificates costs more than most requests.
    trusted = ssl.create_default_context()
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as the gateway has it (its tls.py), curl, and Claude Code
    secure = urllib.request.HTTPSHandler(context=trusted)
    return urllib.request.build_opener(urllib.request.ProxyHandler(None if proxies else {}), secure, _StayHere)
