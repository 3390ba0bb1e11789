"""The kernel's own settings, as far as it lets this machine set them."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts.reach import KernelSettings
from signalbox.operations.commands import Commands
from signalbox.statements import differs, want


@operation()
def kernel_settings(values: Mapping[str, int]) -> Commands:
    """Have the running kernel use these sysctl values; those that it had are kept in the manifest.

    What is missing or read-only here, as in a container, is neither drift nor done: nobody can tell, and the
    operation does not claim it.
    """
    now = host.get_fact(KernelSettings, keys=tuple(values))
    differing = {key: value for key, value in values.items() if key in now and now[key].value != str(value)}
    settable = [f"{key}={value}" for key, value in differing.items() if now[key].writable]
    refused = [key for key in values if key not in now or (key in differing and not now[key].writable)]
    records = []
    for key, value in values.items():
        want("sysctl", key)
        if key in differing and now[key].writable:
            differs(key, now[key].value, str(value))
            first = manifest.record(manifest.Entry("sysctl", key, hash=str(value), original=now[key].value))
            records.append(f"{{ [ -e {manifest.entry_path('sysctl', key)} ] || {{ {first}; }}; }}")
    if settable:
        yield " && ".join([*records, f"sysctl -qw {' '.join(settable)}"])
        return
    host.noop(f"cannot tell: {', '.join(refused)}" if refused else "the kernel's settings are in effect")
