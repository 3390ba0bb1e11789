"""Carries what a tun device sends and gets over UDP, as a VPN does. Runs on hosts: the standard library alone.

tunnel.py DEVICE PORT          waits for a peer, and answers whoever spoke last
tunnel.py DEVICE PORT ADDRESS  speaks to that peer
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
MAX_PACKET = 65535


def main() -> None:
    device, port, *address = sys.argv[1:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
    carrier = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer = (address[0], int(port)) if address else None
    if peer is None:
        carrier.bind(("0.0.0.0", int(port)))  # noqa: S104
    while True:
        for ready in select.select([tun, carrier], [], [])[0]:
            if ready is tun:
                packet = os.read(tun, MAX_PACKET)
                if peer is not None:
                    carrier.sendto(packet, peer)
            else:
                packet, sender = carrier.recvfrom(MAX_PACKET)
                peer = peer if address else sender
                os.write(tun, packet)


main()
