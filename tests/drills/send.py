"""Send in one way: `send.py KIND NUMBER ADDRESS [PORT]`; watch.py sees it elsewhere, see ways_out.py."""

import contextlib
import socket
import sys
import time

IPPROTO_MPTCP, IPPROTO_UDPLITE = 262, 136
IPV6_RTHDR, SEGMENTS = 57, 4  # RFC 8754, 2
kind, number, address = sys.argv[1:4]
port = int(sys.argv[4]) if len(sys.argv) > 4 else 40000 + int(number)
family = socket.AF_INET6 if ":" in address else socket.AF_INET
token = f"way-{number}.".encode()


def connect(protocol: int = 0) -> socket.socket:
    """Return a connection over TCP."""
    connection = socket.socket(family, socket.SOCK_STREAM, protocol)
    connection.settimeout(2)
    connection.connect((address, port))
    return connection


def datagram(protocol: int = 0) -> socket.socket:
    """Return a socket that sends to whom it is told."""
    return socket.socket(family, socket.SOCK_DGRAM, protocol)


if kind == "tcp":
    connect()
elif kind == "mptcp":
    connect(IPPROTO_MPTCP)
elif kind == "fastopen":
    with socket.socket(family, socket.SOCK_STREAM) as opening, contextlib.suppress(BlockingIOError):
        opening.settimeout(2)
        opening.sendto(token, socket.MSG_FASTOPEN, (address, port))
elif kind == "udp":
    datagram().sendto(token, (address, port))
elif kind == "udplite":
    datagram(IPPROTO_UDPLITE).sendto(token, (address, port))
elif kind == "fragments":
    datagram().sendto(token * 2000, (address, port))
elif kind == "broadcast":
    sender = datagram()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.sendto(token, (address, port))
elif kind == "routed":
    sender, first = datagram(), socket.inet_pton(family, address)
    sender.setsockopt(socket.IPPROTO_IPV6, IPV6_RTHDR, bytes([0, 4, SEGMENTS, 1, 1, 0, 0, 0]) + bytes(16) + first)
    sender.sendto(token, ("2001:db8::1", port))
elif kind == "goes-on":  # until it is ended
    connection = connect()
    print("connected", flush=True)
    while True:
        with contextlib.suppress(OSError):
            connection.send(token)
        time.sleep(0.3)
