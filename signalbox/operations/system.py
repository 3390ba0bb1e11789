"""The system's own switches: trusted CAs and kernel modules."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs
from signalbox.facts import LoadableModules, TrustedCertificates
from signalbox.operations.commands import Commands
from signalbox.shell import sh

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # what update-ca-certificates writes


@operation()
def trusted_certificates(names: list[str]) -> Commands:
    """Have the system's bundle rebuilt since these files in /usr/local/share/ca-certificates last changed."""
    now = host.get_fact(TrustedCertificates)
    if all(now.get(name) for name in names):
        host.noop("the system trusts our CA certificates")
        return
    for name in names:
        differs(name, "trusted" if now.get(name) else "not trusted", "trusted")
    yield sh("update-ca-certificates")


@operation()
def kernel_modules(names: list[str]) -> Commands:
    """Have these kernel modules loaded where the kernel has them as modules; modules-load.d does it at boot."""
    missing = host.get_fact(LoadableModules, modules=tuple(names))
    if not missing:
        host.noop("kernel modules are there")
        return
    differs("kernel modules", "not loaded", ", ".join(missing))
    yield sh("modprobe -a {}", missing)
