"""What a host becomes. `pyinfra inventory.py deploy.py`; with --dry it only tells what it would do.

The ordered tasks, with a reason beside each fixed order, are in tasks/runs/deploy.py.
"""

from signalbox.runs import deploy

deploy()
