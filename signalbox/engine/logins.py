"""Fresh logins: what proves that nobody was locked out is a new connection, made as pyinfra made its own."""

from __future__ import annotations

import time
from typing import Any, cast

import gevent
from pyinfra.api import Host
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.ssh import SSHConnector

_PAUSE_SECONDS = 0.3  # sshd that reloads refuses connections for a moment


def reached_by_ssh(host: Host) -> bool:
    """Tell whether this host is reached over SSH at all; others (@local, @fake) cannot be locked out."""
    return isinstance(host.connector, SSHConnector)


def deploy_user(host: Host) -> str:
    """Return the name of the user that this deploy logs in as."""
    return str(host.data.get("ssh_user") or "root")


def address_of(host: Host) -> str:
    """Return the name or address by which this deploy reaches a host."""
    return str(host.data.get("ssh_hostname") or host.name)


def login_problem(host: Host, user: str, seconds: float) -> str | None:
    """Log in anew as `user`, with the keys, known hosts and proxies of this deploy; return None, or why it failed.

    A connection that is refused or not answered is tried again until `seconds` are over; a key that is not
    accepted is not, as each try counts with sshd and fail2ban.
    """
    if not reached_by_ssh(host):
        return None
    end = time.monotonic() + seconds
    while True:
        left = max(end - time.monotonic(), 0.5)
        problem, final = _try(host, user, left)
        if problem is None or final or time.monotonic() + _PAUSE_SECONDS >= end:
            return problem
        gevent.sleep(_PAUSE_SECONDS)


def _try(host: Host, user: str, seconds: float) -> tuple[str | None, bool]:
    """Return what was wrong, if anything, and whether trying again is in vain."""
    connector = SSHConnector(host.state, host)
    limits = {"timeout": seconds, "banner_timeout": seconds, "auth_timeout": seconds}
    own = cast(dict[str, Any], host.connector.data)
    given = own.get("ssh_paramiko_connect_kwargs") or {}
    # The connector's own data, not the inventory's: known hosts may have been put there by our hooks.
    data = {**own, "ssh_user": user, "ssh_connect_retries": 0, "ssh_paramiko_connect_kwargs": {**given, **limits}}
    connector.data = cast(Any, data)
    try:
        with gevent.Timeout(seconds, TimeoutError(f"no login within {seconds:.0f} s")):
            connector.connect()
            assert connector.client is not None
            _, stdout, _ = connector.client.exec_command("true", timeout=seconds)
            if stdout.channel.recv_exit_status() != 0:
                return "the login runs no command", True
            return None, True
    except ConnectError as error:
        words = str(error)
        return words, "Authentication error" in words or "host key" in words.lower()
    except (OSError, EOFError) as error:  # TimeoutError is one
        return str(error) or type(error).__name__, False
    except Exception as error:  # whatever it is, it was no login
        return f"{type(error).__name__}: {error}", False
    finally:
        if connector.client is not None:
            connector.client.close()
