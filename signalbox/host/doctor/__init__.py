"""claude-doctor: what does not work on this host, why, and what to do; the same checks are behind `signalbox verify`.

The deploy places this package on the host as it is. Python's standard library alone, Debian's own python3 (3.11 or
newer); it reads /etc/signalbox/doctor.json, which the deploy made from the settings.
"""
