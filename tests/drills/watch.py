"""Watch from the far side: `watch.py MAC` prints what each frame from there gives away of ways_out.py's ways, once."""

import re
import socket
import struct
import sys

ALL = 3  # ETH_P_ALL
EXTENSIONS = (0, 43, 44, 60)  # RFC 8200, 4
sender = bytes.fromhex(sys.argv[1].replace(":", ""))
seen = set()


def port(packet: bytes) -> int:
    """Return the port that this IP packet goes to, 0 for a protocol that has none."""
    if packet[0] >> 4 == 4:
        protocol, rest = packet[9], packet[(packet[0] & 15) * 4 :]
    else:
        protocol, rest = packet[6], packet[40:]
        while protocol in EXTENSIONS and len(rest) > 1:
            protocol, rest = rest[0], rest[8 if protocol == 44 else (rest[1] + 1) * 8 :]
    carried = protocol in (6, 17, 136) and len(rest) >= 4  # TCP, UDP, UDP-Lite
    return struct.unpack("!H", rest[2:4])[0] if carried else 0


cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
print("watching", flush=True)
while True:
    frame = cable.recv(65535)
    if frame[6:12] != sender or frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
        continue
    tokens = {int(number) for number in re.findall(rb"way-(\d+)\.", frame)}
    to = port(frame[14:])
    found = tokens | ({to - 40000} if 40000 < to < 40100 else set())
    for number in sorted(found - seen):
        print(number, flush=True)
    seen |= found
