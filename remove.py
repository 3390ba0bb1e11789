"""Takes Signalbox away from hosts: `pyinfra inventory.py remove.py`. It shows what would go, and asks.

What it replaced comes back. The service user's home stays, unless `--data remove.homes=true`.
"""

from pyinfra import host

from signalbox.settings import settings_for
from tasks.remove import remove

s = settings_for(host)
claude, keeper = s.service_account, s.gateway_account
remove(s.remove, claude, (keeper,) if keeper != claude else (), **s.privileges())
