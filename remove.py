"""Takes Signalbox away from hosts: `pyinfra inventory.py remove.py`. It shows what would go, and asks.

What it replaced comes back. The service user's home stays, unless `--data remove.homes=true`.
"""

from pyinfra import host

from signalbox.operations.guarded import Proof
from signalbox.settings import settings_for
from tasks.remove import remove

s = settings_for(host)
claude, keeper = s.service_account, s.gateway_account
# The guard is on the host, or it is not, whatever the settings have come to say.
proof = Proof(claude.name, s.guard.login_seconds, guard=False)
remove(s.remove, claude, (keeper,) if keeper != claude else (), proof, **s.privileges())
