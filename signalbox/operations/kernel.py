"""The kernel's own settings, as far as it lets this machine set them."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.engine.outcome import remark
from signalbox.facts.reach import KernelSettings
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.shell import Script, all_of, manifest, sh


@operation()
def kernel_settings(path: str, content: str, values: Mapping[str, int], proof: Proof) -> Commands:
    """Have the file `path` of sysctl.d, and the running kernel use its `values`; the manifest keeps those it had.

    What is missing or read-only here, as in a container, is neither drift nor done: nobody can tell, and that is said.
    One of the network's may cut off whoever comes by another way than the answers go: it is proven by fresh logins.
    """
    now = host.get_fact(KernelSettings, keys=tuple(values))
    differing = {key: value for key, value in values.items() if key in now and now[key].value != str(value)}
    settable = [key for key in differing if now[key].writable]
    refused = [key for key in values if key not in now or (key in differing and key not in settable)]
    if refused:
        remark(f"cannot tell: {', '.join(refused)}; this kernel or container has them missing or read-only")
    commands = list(file._inner(path=path, content=content))
    records = []
    for key, value in values.items():
        want("sysctl", key)
        if key in settable:
            differs(key, now[key].value, str(value))
            first = manifest.record(manifest.Entry("sysctl", key, hash=str(value), original=now[key].value))
            records.append(sh("{{ [ -e {} ] || {{ {}; }}; }}", manifest.entry_path("sysctl", key), first))
    if settable:
        commands.append(all_of(*records, _set({key: str(values[key]) for key in settable})))
    if not commands:
        host.noop("the kernel's settings are in effect, as far as it has them")
    elif any(key.startswith("net.") for key in settable):
        undo = _set({key: now[key].value for key in settable})
        hint = "with several uplinks, write 2 for hardening.sysctl's net.ipv4.conf.all.rp_filter"
        yield from confirmed(Change("the kernel's settings", [path], undo=sh("{}\n", undo), hint=hint), commands, proof)
    else:
        yield from commands


def _set(values: Mapping[str, str]) -> Script:
    return sh("sysctl -qw {}", [f"{key}={value}" for key, value in values.items()])
