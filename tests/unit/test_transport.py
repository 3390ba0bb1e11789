"""TCP_NODELAY and keepalives on real paramiko transports over real sockets."""

from __future__ import annotations

import socket
import threading
from typing import Any

import paramiko
import pytest

from signalbox.engine import transport


def connected_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        return client, server.accept()[0]


def nodelay(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_every_transport_of_the_process_has_no_nagle_after_install() -> None:
    transport.install()
    client, peer = connected_pair()
    assert not nodelay(client)
    connection = paramiko.Transport(client)
    assert nodelay(connection.sock)
    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    connection.close()
    peer.close()


def test_a_socket_that_is_not_tcp_is_left_alone() -> None:
    left, right = socket.socketpair()
    transport.tune(left)
    transport.tune(object())
    left.close()
    right.close()


def test_installing_twice_wraps_once() -> None:
    transport.install()
    first = paramiko.Transport.__init__
    transport.install()
    assert paramiko.Transport.__init__ is first


def test_an_sshd_that_never_answers_is_not_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    transport.install()
    monkeypatch.setattr(transport, "_ANSWER_SECONDS", 0.1)
    waiting: Any = paramiko.Channel(1)
    with pytest.raises(paramiko.SSHException, match="did not answer"):
        waiting._wait_for_event()
    answered: Any = paramiko.Channel(2)
    answered.event.set()
    answered.event_ready = True
    answered._wait_for_event()


def test_a_channel_of_a_connection_that_is_gone_is_closed_without_a_word() -> None:
    transport.install()
    client, peer = connected_pair()
    connection: Any = paramiko.Transport(client)
    channel: Any = paramiko.Channel(1)
    channel._set_transport(connection)
    channel.active = True

    def cut(_data: object) -> None:
        raise EOFError

    connection.active, connection.clear_to_send = True, threading.Event()
    connection.clear_to_send.set()
    connection._send_message = cut
    with pytest.raises(paramiko.SSHException, match="closed the connection"):
        connection._send_user_message(paramiko.Message())
    channel.close()
    connection.active = False
    connection.close()
    peer.close()


def test_an_upload_that_stands_still_is_not_waited_for_without_an_end() -> None:
    class Channel:
        """Stands still."""

        seconds: float | None = None

        def settimeout(self, seconds: float) -> None:
            self.seconds = seconds

        def send(self, data: bytes) -> int:
            return len(data)

        def recv(self, _size: int) -> bytes:
            raise TimeoutError if self.seconds else AssertionError("without an end")

    transport.install()
    with pytest.raises(TimeoutError):
        paramiko.SFTPClient(Channel())  # type: ignore[arg-type]


def test_a_wrong_checksum_is_still_wrong() -> None:
    transport.install()
    same = paramiko.util.constant_time_bytes_eq
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")
