"""A user of a host, as tasks need to know it."""

from __future__ import annotations

from dataclasses import dataclass

NOLOGIN = "/usr/sbin/nologin"  # the login shell of users that hold nothing of a person's, such as the gateway's


@dataclass(frozen=True)
class Account:
    """A user's name and home directory (an absolute path on the host, without a trailing slash)."""

    name: str
    home: str

    @classmethod
    def named(cls, name: str) -> Account:
        """The account `name` with the home that Debian's adduser gives it, `/home/<name>`."""
        return cls(name, f"/home/{name}")

    def path(self, below: str) -> str:
        """The absolute path of `below`: a path relative to the home, `~/…`, or absolute already."""
        relative = below.removeprefix("~/")
        return relative if relative.startswith("/") else f"{self.home}/{relative}"
