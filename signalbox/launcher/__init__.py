"""The program that starts Claude Code in a lane, on the host. `launch.py` is placed there as it is."""
