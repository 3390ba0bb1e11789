"""What a Debian system calls things: users, packages, time zones, containers, flags."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated

from signalbox.fields.checks import checked, matching
from signalbox.fields.messages import nearest, show


def _user(value: str) -> str:
    # adduser(8), NAME_REGEX; useradd(8): at most 32 characters.
    if value == "root":
        raise ValueError('"root" would give an agent the whole host; write an unprivileged user, such as "claude"')
    if not re.fullmatch(r"[a-z][-a-z0-9_]{0,31}", value):
        raise ValueError(
            f"{show(value)} is not a Debian user name (a-z first, then a-z, 0-9, - and _, at most 32); "
            'write one such as "claude"'
        )
    return value


def _timezone(value: str) -> str:
    zones = zoneinfo.available_timezones()  # empty where the controller has no tzdata
    if not re.fullmatch(r"[A-Za-z][\w+-]*(/[\w+-]+)*", value) or (zones and value not in zones):
        raise ValueError(
            f"{show(value)} is not a time zone{nearest(value, zones) or '; write one such as Europe/Berlin'}"
        )
    return value


UserName = Annotated[str, checked(_user)]
TimeZone = Annotated[str, checked(_timezone)]
# deb-control(5) and Debian policy 5.6.1
Package = Annotated[str, matching(r"[a-z0-9][a-z0-9+.-]+", "a Debian package name", 'one such as "ripgrep"')]
# https://docs.docker.com/reference/cli/docker/container/run/: names of containers
ContainerName = Annotated[str, matching(r"[A-Za-z0-9][\w.-]+", "a container's name", 'one such as "litellm"')]
FunctionName = Annotated[str, matching(r"[A-Za-z][\w.-]*", "a function's name", 'one such as "claude-routed"')]
Flag = Annotated[str, matching(r"-\S*|[^-\s].*", "a flag", 'one such as "--verbose"')]
