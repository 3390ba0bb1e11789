"""Tests of Signalbox; `python -m tests.lab` runs real Debian hosts for them."""
