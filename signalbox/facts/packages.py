"""Debian packages and what they brought."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, fields, records

# apt names each step of what it would do: "Remv docker-ce [5:28.0] …", "Inst curl [8.14.1-1] (8.14.1-2 Debian:13 …".
_STEP = re.compile(r"(Remv|Inst) ([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)? \[([\w.+:~-]+)\](?: \(([\w.+:~-]+) )?", re.ASCII)


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


class TimeDaemons(HostFact[list[str]]):
    """The packages that are there and keep the clock right: those that provide `time-daemon`."""

    def command(self) -> Script:
        """Return the command."""
        query = sh("dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Provides}}\\n'")
        return asked(sh("{} | awk '$1 == \"installed\" && / time-daemon([ ,]|$)/ {{print $2}}'; printf '\\0'", query))

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Read a name a line."""
        return sorted({line for field in fields(output) for line in field.split("\n") if line})


@dataclass(frozen=True)
class TransactionState:
    """What apt would do to packages that are there. `known` False: it does not know how, such as with old lists.

    removed: version by name; automatic: those of them that came as somebody's dependency. changed: version there and
    version to come, by name. broken: packages are not in order, and this is what putting them in order would do.
    """

    removed: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    automatic: tuple[str, ...] = ()
    known: bool = False
    broken: bool = False


class Transaction(HostFact[TransactionState]):
    """What the installation of these packages would do to others, as apt itself works it out."""

    def command(self, packages: Sequence[str]) -> Script:
        """Return the command; apt only simulates."""
        simulate = sh("apt-get -s -o APT::Get::Show-User-Simulation-Note=no --no-install-recommends")
        return asked(
            sh(
                # Of those that its lists name: others may be known by the time they are installed.
                "export LC_ALL=C; names=$(apt-cache pkgnames | grep -xF {packages});"
                " t=$({simulate} install $names); s=$?; printf 'would\\0%s\\0%s\\0' $s \"$t\";"
                " [ $s = 0 ] || {{ t=$({simulate} --fix-broken install); printf 'mend\\0%s\\0%s\\0' $? \"$t\"; }};"
                " printf 'auto\\0%s\\0' \"$(apt-mark showauto)\"",
                simulate=simulate,
                packages=[word for name in packages for word in ("-e", name)],
            ),
            seconds=120,
        )

    default = TransactionState

    def process(self, output: list[str]) -> TransactionState:
        """Read the steps of the transaction that is possible."""
        told = {record[0]: record[1:] for record in records(output, {"would": 2, "mend": 2, "auto": 1})}
        broken = told.get("would", ("", ""))[0] != "0"
        status, text = told.get("mend" if broken else "would", ("", ""))
        steps = [match.groups() for line in text.split("\n") if (match := _STEP.match(line))]
        removed = {name: version for step, name, version, _ in steps if step == "Remv"}
        changed = {name: (was, new) for step, name, was, new in steps if step == "Inst" and new and was != new}
        return TransactionState(
            removed,
            {name: versions for name, versions in changed.items() if name not in removed},
            tuple(sorted(removed.keys() & set(told.get("auto", ("",))[0].split()))),
            # Where nothing is out of order, putting in order would do nothing: then apt knows one of the names not.
            known=status == "0" and not (broken and not steps),
            broken=broken and bool(steps),
        )


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
