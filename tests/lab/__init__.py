"""Real Debian 13 hosts on one machine, by systemd-nspawn: `python -m tests.lab --help`.

Python: `tests.lab.hosts` (up, run, reboot, poweroff, down), `tests.lab.inventory`, `tests.lab.services`.
SIGNALBOX_LAB=NAME selects another, separate lab: its own bridge, addresses, nftables table and state.
"""
