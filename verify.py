"""Proves that hosts work: `pyinfra inventory.py verify.py`. It changes nothing; `signalbox verify` can do more."""

from pyinfra import host

from signalbox import health
from signalbox.debian import packages
from signalbox.settings import settings_for
from signalbox.verify import verify_host

s = settings_for(host)
verify_host(health.expected(s, packages(s)), s.preflight.max_clock_skew_seconds, s.privileges())
