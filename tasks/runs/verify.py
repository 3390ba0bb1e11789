"""What proves that hosts work: the checks of claude-doctor, sent over."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired import health
from signalbox.desired.packages import packages
from signalbox.desired.routing import routing_table
from signalbox.fleet.verify import verify_host
from signalbox.settings import settings_for


def run() -> None:
    """Verify the host that pyinfra works on; nothing is changed there."""
    s = settings_for(host)
    verify_host(health.expected(s, routing_table(s), packages(s)), s.preflight.max_clock_skew_seconds, s.privileges())
