"""The commands people type on a host: claude-<lane>, claude-switch, claude-logs, claude-session.

The deploy places this package on the host as it is. Python's standard library alone, Debian's own python3 (3.11 or
newer); it reads /etc/signalbox/lanes.json, which the deploy made from the settings, and decides nothing else.
"""
