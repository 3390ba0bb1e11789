"""Debian packages and what they brought."""

from __future__ import annotations

from pyinfra.api import FactBase


class Packages(FactBase[dict[str, str]]):
    """dpkg's status of each package that it knows: "installed", "half-configured", …"""

    def command(self) -> str:
        """Return the command. It reads all of dpkg's records even for one package."""
        return "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 2>/dev/null || true"

    default = dict

    def process(self, output: list[str]) -> dict[str, str]:
        """Parse `name status` lines."""
        return dict(line.split(" ", 1) for line in output)


class SecurityUpdates(FactBase[bool]):
    """Whether apt has a source of Debian's security updates, read or named in its sources."""

    def command(self) -> str:
        """Return the command. The label is what an archive says of itself, which its mirrors keep; "": it is unread."""
        return "apt-get indextargets --format '$(RELEASE) $(LABEL)' 2>/dev/null || true"

    default = bool

    def process(self, output: list[str]) -> bool:
        """Parse `suite label` lines."""
        told = [line.partition(" ") for line in output]
        return any(
            label == "Debian-Security" or (not label and suite.endswith("-security")) for suite, _, label in told
        )


class LoadableModules(FactBase[list[str]]):
    """Those of the kernel modules that are neither loaded nor built in, but could be loaded."""

    def command(self, modules: tuple[str, ...]) -> str:
        """Return the command. In a container there are none: the kernel is the host's."""
        # What /sys/module has is loaded or built in, but not all that is built in is there.
        loadable = "[ -d /sys/module/$m ] || { modprobe -n -q --first-time $m 2>/dev/null && echo $m; }"
        return f"for m in {' '.join(modules)}; do {loadable}; done; true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the names."""
        return output


class TrustedCertificates(FactBase[dict[str, bool]]):
    """Our CA files in /usr/local/share/ca-certificates by name: whether the system's bundle is newer than the file."""

    def command(self) -> str:
        """Return the command."""
        return (
            "for f in /usr/local/share/ca-certificates/signalbox-*.crt; do [ -f $f ] || continue;"
            " b=${f##*/}; if [ -e /etc/ssl/certs/${b%.crt}.pem ] && [ ! $f -nt /etc/ssl/certs/ca-certificates.crt ];"
            " then echo $b yes; else echo $b no; fi; done; true"
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Parse `name yes|no` lines."""
        return {name: answer == "yes" for name, _, answer in (line.partition(" ") for line in output)}
