"""Whole runs on a host, made of tasks: what deploy.py, verify.py and remove.py call by signalbox/runs.py."""
