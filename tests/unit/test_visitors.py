"""From where people came in lately, as sshd's journal, wtmp(5) and wtmpdb's database tell it."""

from __future__ import annotations

import ipaddress
import sqlite3
import struct
import time
from pathlib import Path

import pytest

from signalbox.facts.visitors import WTMPDB, Came, Visitors
from signalbox.shell import Script
from tests.answers import answered
from tests.unit.test_before import run


def test_who_came_lately_is_read_from_sshds_own_words() -> None:
    assert isinstance(Visitors().process(run(Visitors().command())), Came)
    lines = [
        "Accepted publickey for root from 203.0.113.7 port 4022 ssh2: ED25519 SHA256:x",
        "Accepted password for admin from 203.0.113.7 port 4023 ssh2",
        "Accepted publickey for root from ::ffff:192.168.1.5 port 4024 ssh2: RSA SHA256:y",
        "Accepted publickey for root from fe80::1%eth0 port 4025 ssh2: RSA SHA256:y",
        "Accepted publickey for root from 999.1.1.1 port 4026 ssh2",
        "Failed password for root from 198.51.100.1 port 4027 ssh2",
        "",
    ]
    assert Visitors().process(answered("\n".join(lines))).users == {
        "203.0.113.7": ("root", "admin"),
        "192.168.1.5": ("root",),
        "fe80::1": ("root",),
    }


def test_who_came_lately_is_read_from_wtmp_too(tmp_path: Path) -> None:
    def login(user: str, address: str, ago: float = 60, kind: int = 7) -> bytes:
        there = ipaddress.ip_address(address).packed
        now = int(time.time() - ago)
        return struct.pack("h2xi32s4s32s256s2hiII16s20x", kind, 1, b"pts/0", b"", user.encode(), b"", 0, 0, 0, now, 0,
                           there)  # fmt: skip

    (tmp_path / "wtmp").write_bytes(
        login("tester", "203.0.113.7") + login("tester", "2001:db8::1") + login("tester", "0.0.0.0")  # noqa: S104
        + login("tester", "198.51.100.9", ago=31 * 86400) + login("tester", "198.51.100.9", kind=8)
        + login("x\ny", "198.51.100.9") + login("tester", "198.51.100.9")[:200]
    )  # fmt: skip
    command = str(Visitors().command()).replace("/var/log/wtmp", str(tmp_path / "wtmp"))
    found = Visitors().process(run(Script(command)))
    assert {address: users for address, users in found.users.items() if "tester" in users} == {
        "203.0.113.7": ("tester",),
        "2001:db8::1": ("tester",),
    }


# As wtmpdb 0.73 makes it.
SCHEMA = (
    "CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT NOT NULL, Login INTEGER, Logout INTEGER,"
    " TTY TEXT, RemoteHost TEXT, Service TEXT) STRICT"
)


def _from(path: Path) -> Came:
    command = str(Visitors().command()).replace(WTMPDB, str(path))
    return Visitors().process(run(Script(command)))


def test_who_came_lately_is_read_from_wtmpdb_too(tmp_path: Path) -> None:
    path, now = tmp_path / "wtmp.db", int(time.time() * 1e6)
    rows = [
        (3, "tester", now, "203.0.113.7"),
        (3, "tester", now, "2001:db8::1%eth0"),
        (3, "tester", now - int(31 * 86400e6), "198.51.100.9"),
        (1, "reboot", now, "198.51.100.9"),
        (3, "x\nAccepted login for tester from 198.51.100.9 port 0 x", now, "198.51.100.9"),
        (3, "tester", now, "198.51.100.9 port 1 x\nAccepted"),
        (3, "tester", now, None),
    ]
    with sqlite3.connect(path) as db:
        db.execute(SCHEMA)
        db.executemany("INSERT INTO wtmp (Type, User, Login, RemoteHost) VALUES (?, ?, ?, ?)", rows)
    came = _from(path)
    assert not came.unread
    assert {address for address, users in came.users.items() if "tester" in users} == {"203.0.113.7", "2001:db8::1"}
    assert not _from(tmp_path / "none").unread


@pytest.mark.parametrize("what", ["no database", "another table", "without end"])
def test_a_database_of_logins_that_cannot_be_read_is_told(tmp_path: Path, what: str) -> None:
    path = tmp_path / "wtmp.db"
    if what == "no database":
        path.write_bytes(b"\0" * 4096 + b"x")
    else:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT i AS ID, 3 AS Type, i AS User,"
        view = "CREATE VIEW wtmp AS SELECT 1 AS ID" if what == "another table" else (
            f"CREATE VIEW wtmp AS {endless} {2**60} AS Login, '203.0.113.7' AS RemoteHost FROM n")  # fmt: skip
        with sqlite3.connect(path) as db:
            db.execute(view)
    assert _from(path).unread
