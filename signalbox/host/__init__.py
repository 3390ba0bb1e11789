"""Programs that live on hosts: the deploy places them as they are, and they import nothing else of ours.

launcher, doctor: commands. gateway: what LiteLLM loads, within its container. supervisor: litellm.service. shared: what
more than one of them needs. On a host each is a package below `signalbox`, as here below `signalbox.host`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def programs(package: str) -> dict[str, str]:
    """Return the text of each module of a package here, by its path, such as "launcher/lane.py"."""
    folder = Path(__file__).parent / package
    return {f"{package}/{module.name}": module.read_text() for module in sorted(folder.glob("*.py"))}
