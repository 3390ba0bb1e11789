"""A real SSH server on the loopback, for what only a connection can show; commands run in this machine's shell."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from typing import IO

import paramiko


@dataclass
class Server:
    """Serves until closed. `commands`: what clients asked for; `max_sessions`: at a time, on one connection."""

    max_sessions: int = 10
    # The connection is cut when this command's shell has printed its first bytes.
    cut_at: str | None = None
    commands: list[str] = field(default_factory=list)
    host_key: paramiko.PKey = field(default_factory=lambda: paramiko.RSAKey.generate(2048))

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                transport = paramiko.Transport(self._listener.accept()[0])
                transport.add_server_key(self.host_key)
                transport.start_server(server=_Connection(self, transport))


class _Connection(paramiko.ServerInterface):
    def __init__(self, server: Server, transport: paramiko.Transport) -> None:
        self._server, self._transport = server, transport
        self._open = 0

    def get_allowed_auths(self, _username: str) -> str:
        return "password"

    def check_auth_password(self, _username: str, _password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _number: int) -> int:
        if self._open >= self._server.max_sessions:
            return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        self._open += 1
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._server.commands.append(command.decode())
        threading.Thread(target=self._serve, args=(channel, command.decode()), daemon=True).start()
        return True

    def _serve(self, channel: paramiko.Channel, command: str) -> None:
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        try:
            threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True).start()
            while data := process.stdout.read(65536):
                channel.sendall(data)
                if self._server.cut_at and self._server.cut_at in command:
                    self._transport.close()
            channel.sendall_stderr(process.stderr.read())
            channel.send_exit_status(process.wait())
        except OSError:
            pass  # the client is gone
        finally:
            process.kill()
            process.wait()
            self._open -= 1
            channel.close()


def _feed(channel: paramiko.Channel, stdin: IO[bytes]) -> None:
    with contextlib.suppress(OSError), stdin:
        while data := channel.recv(65536):
            stdin.write(data)
