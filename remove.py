"""Takes Signalbox away from hosts: `pyinfra inventory.py remove.py`. It shows what would go, and asks.

What it replaced comes back. The service user's home stays, unless `--data remove.homes=true`.
"""

from signalbox.runs import remove

remove()
