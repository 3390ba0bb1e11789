"""Proves that hosts work: `pyinfra inventory.py verify.py`. It changes nothing; `signalbox verify` can do more."""

from pyinfra import host

from signalbox.desired import health
from signalbox.desired.packages import packages
from signalbox.desired.routing import routing_table
from signalbox.fleet.verify import verify_host
from signalbox.settings import settings_for

s = settings_for(host)
verify_host(health.expected(s, routing_table(s), packages(s)), s.preflight.max_clock_skew_seconds, s.privileges())
