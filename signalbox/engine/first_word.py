"""The first word with a host: whether a login runs commands at all, told before anything else is asked of it."""

from __future__ import annotations

import sys
from typing import Any

import gevent
from paramiko import ChannelException, SSHException
from pyinfra.api import Host
from pyinfra.connectors import ssh
from pyinfra.connectors.ssh import SSHConnector

from signalbox.engine.logins import address_of, deploy_user
from signalbox.shell import command_of, no_answer

_SECONDS = 30.0  # a login that has not run a command by then is told as such


_CLOSED = ("Error reading SSH protocol banner", "Connection reset by peer", "Connection refused by server")


def refused(words: str) -> str:
    """Return why a connection failed, with the next step where the words of it are known to mislead."""
    if any(each in words for each in _CLOSED):
        return (
            f"{words}: sshd there closes the connection before a word is said; after refused logins it does so for a"
            " while (PerSourcePenalties), and fail2ban may, too: wait ten minutes, then try again, with the right key"
        )
    return words


def problem(host: Host, privileges: dict[str, Any]) -> str | None:
    """Return why a command with these privileges is not run on a connected host, with the next step; None: it is.

    A host whose connection is gone, or that is not reached over SSH, has no problem of this kind.
    """
    if not isinstance(host.connector, SSHConnector) or host.connector.client is None:
        return None
    user = deploy_user(host)
    try:
        unix = ssh.make_unix_command_for_host(host.state, host, command_of(no_answer.PROBE), **privileges)
        with gevent.Timeout(_SECONDS, TimeoutError()):
            said = _said(host.connector, unix.get_raw_value())
    except TimeoutError:
        return (
            f"the login of {user} runs no command within {_SECONDS:.0f} s; look at what ~/.bashrc and its like wait for"
        )
    except ChannelException:
        return (
            "sshd there grants one session a connection (MaxSessions), and a deploy needs two: for its commands, and"
            " for the host's lock; write MaxSessions 4 into /etc/ssh/sshd_config.d/00-sessions.conf, and systemctl"
            " reload ssh"
        )
    except (OSError, EOFError, SSHException):
        return None
    if no_answer.answered(said):
        return None
    why = no_answer.why(said, user, address_of(host))
    # At a terminal pyinfra asks for the password itself.
    return None if "asks" in why and "sudo_password" in why and sys.stdin.isatty() else why


def _said(connector: SSHConnector, command: str) -> str:
    """Return what a command says, first on stdout, bounded. Raises ChannelException: there is no second session."""
    assert connector.client is not None
    stdin, stdout, stderr = connector.client.exec_command(command)
    transport = connector.client.get_transport()
    assert transport is not None
    transport.open_session().close()
    stdin.channel.shutdown_write()
    told = stdout.read(no_answer.MAX_BYTES) + b"\n" + stderr.read(no_answer.MAX_BYTES)
    stdin.channel.close()
    return str(told.decode(errors="replace"))
