"""Simulated model servers and clouds for the lab: they speak the real protocols and can fail.

    start(bind, state)          run them on one address
    settings(bind, state)       what a host's settings need to know of them
    urls(state)                 where each of them listens
    credentials()               the keys they accept
    Client.of(state)            make them fail, read what they were asked
    stop(state)
    running(state)              all of it for one test, on free ports

By hand: `python -m tests.lab.simulators --help`.
"""

from __future__ import annotations

from tests.lab.simulators.client import Client, ControlError
from tests.lab.simulators.service import Running, ServiceError, credentials, running, settings, start, stop, urls

__all__ = [
    "Client",
    "ControlError",
    "Running",
    "ServiceError",
    "credentials",
    "running",
    "settings",
    "start",
    "stop",
    "urls",
]
