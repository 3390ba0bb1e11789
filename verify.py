"""Proves that hosts work: `pyinfra inventory.py verify.py`. It changes nothing; `signalbox verify` can do more."""

from signalbox.runs import verify

verify()
