"""Debian packages and what they brought."""

from __future__ import annotations

from signalbox.facts.answer import HostFact, asked, fields
from signalbox.shell import Script, sh


class Packages(HostFact[dict[str, str]]):
    """dpkg's status of each package that it knows: "installed", "half-configured", …"""

    def command(self) -> Script:
        """Return the command. It reads all of dpkg's records even for one package."""
        return asked(sh("dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n'; printf '\\0'"))

    default = dict

    def process(self, output: list[str]) -> dict[str, str]:
        """Read one field of `name status` lines."""
        lines = [line.split(" ") for field in fields(output) for line in field.split("\n")]
        return {words[0]: words[1] for words in lines if len(words) == 2}


class SecurityUpdates(HostFact[bool]):
    """Whether apt has a source of Debian's security updates, read or named in its sources."""

    def command(self) -> Script:
        """Return the command. The label is what an archive says of itself, which its mirrors keep; "": it is unread."""
        return asked(sh("apt-get indextargets --format '$(RELEASE) $(LABEL)'; printf '\\0'"))

    default = bool

    def process(self, output: list[str]) -> bool:
        """Read one field of `suite label` lines."""
        told = [line.partition(" ") for field in fields(output) for line in field.split("\n")]
        return any(
            label == "Debian-Security" or (not label and suite.endswith("-security")) for suite, _, label in told
        )


class LoadableModules(HostFact[list[str]]):
    """Those of the kernel modules that are neither loaded nor built in, but could be loaded."""

    def command(self, modules: tuple[str, ...]) -> Script:
        """Return the command. In a container there are none: the kernel is the host's."""
        # What /sys/module has is loaded or built in, but not all that is built in is there.
        return asked(
            sh(
                "for m in {}; do [ -d /sys/module/$m ]"
                " || {{ modprobe -n -q --first-time $m && printf '%s\\0' $m; }}; done; true",
                modules,
            )
        )

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the names."""
        return fields(output)


class TrustedCertificates(HostFact[dict[str, bool]]):
    """Our CA files in /usr/local/share/ca-certificates by name: whether the system's bundle is newer than the file."""

    def command(self) -> Script:
        """Return the command."""
        return asked(
            sh(
                "for f in /usr/local/share/ca-certificates/signalbox-*.crt; do [ -f $f ] || continue;"
                " b=${{f##*/}}; if [ -e /etc/ssl/certs/${{b%.crt}}.pem ]"
                " && [ ! $f -nt /etc/ssl/certs/ca-certificates.crt ]; then printf '%s\\0' $b; fi; done; true"
            )
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Read the names of those that it has."""
        return dict.fromkeys(fields(output), True)
