"""Fast SSH, and an end to waiting for hosts that are gone: what paramiko leaves slow or open, on every connection."""

from __future__ import annotations

import hmac
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import paramiko
from pyinfra.connectors import ssh_util

# A connection that hears nothing is asked after 15 s, and then every 15 s; it has failed after a minute. Routers that
# forget quiet connections keep this one, and a host that lost its power does not hold a run for TCP's quarter hour.
_PROBE_SECONDS = 15
_PROBES = 4
# Names that are missing (macOS) keep the system's own values.
_KEEPALIVE = {
    "TCP_KEEPIDLE": _PROBE_SECONDS,
    "TCP_KEEPINTVL": _PROBE_SECONDS,
    "TCP_KEEPCNT": _PROBES,
    "TCP_USER_TIMEOUT": _PROBE_SECONDS * _PROBES * 1000,  # milliseconds that sent data may stay unacknowledged
}
# What sshd answers by itself, as to the wish for a session: paramiko waits an hour for one, and forever for a command.
_ANSWER_SECONDS = 60
_UPLOAD_SECONDS = 300  # in which nothing of an upload moves


def tune(sock: Any) -> None:
    """Set TCP_NODELAY and keepalives on `sock` if it is a TCP socket; a proxy's channel or pipe is left alone.

    paramiko writes a command as several small packets. With Nagle's algorithm each command then waits
    for the other side's delayed acknowledgement: 48 ms a command instead of 3 ms, measured.
    """
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def mend() -> None:
    """Have paramiko log nothing by itself, and take agents that hold FIDO keys. Calling it again changes nothing."""
    log = logging.getLogger("paramiko")
    if any(isinstance(each, logging.NullHandler) for each in log.handlers):
        return
    # It logs a traceback for a server that closes the connection; what is to be told, is told by who connects.
    log.addHandler(logging.NullHandler())
    log.propagate = False
    # What pyinfra mends for its own connections, of which init's are none.
    ssh_util._patch_paramiko_sk_key_support()


def install() -> None:
    """Tune every paramiko transport of this process. Calling it again changes nothing."""
    mend()
    # paramiko compares the checksum of every packet byte by byte in Python; this is the same, constant time, in C.
    paramiko.util.constant_time_bytes_eq = hmac.compare_digest  # type: ignore[assignment]
    original = paramiko.Transport.__init__
    if getattr(original, "signalbox", False):
        return

    @wraps(original)
    def tuned(self: paramiko.Transport, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.channel_timeout = _ANSWER_SECONDS  # type: ignore[attr-defined]
        tune(self.sock)

    tuned.signalbox = True  # type: ignore[attr-defined]
    paramiko.Transport.__init__ = tuned  # type: ignore[method-assign]
    connection: Any = paramiko.Transport
    for name in ("open_channel", "_send_user_message"):
        setattr(connection, name, _told(getattr(connection, name)))
    channel: Any = paramiko.Channel
    channel._wait_for_event = _in_time(_told(channel._wait_for_event))
    channel.close = _closed(channel.close)
    paramiko.SFTPClient.__init__ = _moving(paramiko.SFTPClient.__init__)  # type: ignore[method-assign]


def _told(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except EOFError as error:
            # What else it says of a connection that was cut; pyinfra expects nothing but this, and fails the host.
            raise paramiko.SSHException("the host has closed the connection") from error

    return told


def _in_time(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def wait_for_event(self: Any) -> None:
        if not self.event.wait(_ANSWER_SECONDS):
            self.close()
            raise paramiko.SSHException(f"the host did not answer within {_ANSWER_SECONDS} s")
        original(self)

    return wait_for_event


def _closed(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def close(self: Any) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):  # the connection is gone, and the channel with it
            original(self)

    return close


def _moving(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def init(self: paramiko.SFTPClient, sock: Any) -> None:
        sock.settimeout(_UPLOAD_SECONDS)
        original(self, sock)

    return init
