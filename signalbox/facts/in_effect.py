"""What is in effect where several files have a word: values by name, each with the file that it is from."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, records, values


@dataclass(frozen=True)
class Value:
    """A value that is in effect. path: of the file that it is from, or of several."""

    value: str
    path: str

    @property
    def file(self) -> str:
        """The file's name, by which files are put in order."""
        return self.path.rpartition("/")[2]


Effective = dict[str, Value]


class SshdJail(HostFact[Effective]):
    """What fail2ban makes of its jail sshd, where a file of jail.d is read after ours (`after`); else nothing."""

    def command(self, after: str) -> Script:
        """Return the command. fail2ban reads *.local in Python's order, which is that of bytes."""
        return asked(
            sh(
                "later=$(cd /etc/fail2ban/jail.d && ls -A | grep '\\.local$' | LC_ALL=C awk -v ours={} '$0 > ours');"
                ' [ -z "$later" ] ||'
                " {{ printf 'files\\0%s\\0jail\\0' \"$later\"; fail2ban-client -d; printf '\\0'; }}",
                after.rpartition("/")[2],
            )
        )

    default = dict

    def process(self, output: list[str]) -> Effective:
        """Read the commands with which fail2ban would start: one list a line, as Python writes it."""
        told = values(output, "files", "jail")
        if not told.get("jail"):
            return {}
        where = ", ".join(f"/etc/fail2ban/jail.d/{name}" for name in told.get("files", "").split("\n"))
        found: Effective = {"enabled": Value("false", where)}
        for line in told["jail"].split("\n"):
            try:
                words = ast.literal_eval(line) if line.startswith("[") and len(line) < 4096 else []
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
            match words:
                case ["start", "sshd"]:
                    found["enabled"] = Value("true", where)
                case ["set", "sshd", "maxretry" | "findtime" | "bantime" as name, value]:
                    found[name] = Value(_seconds(str(value)), where)
        return found


def _seconds(text: str) -> str:
    """Return a time of jail.conf(5), such as 10m, in seconds; one of several words as it stands."""
    if found := re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII):
        return str(int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]])
    return text


class SysctlAtBoot(HostFact[Effective]):
    """What systemd-sysctl gives the kernel at every boot, by key."""

    def command(self) -> Script:
        """Return the command. It prints all files in order, each behind a comment with its path."""
        return asked(sh("printf 'config\\0'; /usr/lib/systemd/systemd-sysctl --cat-config; printf '\\0'"))

    default = dict

    def process(self, output: list[str]) -> Effective:
        """Read `key = value` lines: the last one has it, and a pattern never beats a key."""
        path, found = "", Effective()
        for line in values(output, "config").get("config", "").split("\n"):
            if re.fullmatch(r"# /\S+\.conf", line):
                path = line[2:]
            elif (pair := re.match(r"\s*-?([\w./@:-]+)\s*=\s*(.*?)\s*$", line)) and not line.startswith(("#", ";")):
                found[_dotted(pair[1])] = Value(pair[2], path)
        return found


def _dotted(key: str) -> str:
    """Return a key with dots: where its first separator is a slash, dots in it are a name's own (sysctl.d(5))."""
    slash, dot = key.find("/"), key.find(".")
    return key.replace("/", ".") if slash >= 0 and (dot < 0 or slash < dot) else key


_PERIODIC = ("Update-Package-Lists", "Unattended-Upgrade", "Enable")
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")


class Upgrades(HostFact[Effective]):
    """What apt makes of its periodic settings, and whether the timers that go by them run at all."""

    def command(self) -> Script:
        """Return the command; which file has the last word on a setting is told by looking for it."""
        return asked(
            sh(
                'eval "$(apt-config shell a APT::Periodic::Update-Package-Lists b APT::Periodic::Unattended-Upgrade'
                ' c APT::Periodic::Enable)";'
                ' tell() {{ printf \'value\\0%s\\0%s\\0\' "$1" "$2"; }}; tell Update-Package-Lists "$a";'
                ' tell Unattended-Upgrade "$b"; tell Enable "$c";'
                " printf 'said\\0'; cd /etc/apt; LC_ALL=C grep -oHsE {} apt.conf.d/* apt.conf;"
                " printf '\\0timers\\0'; systemctl is-enabled {}; printf '\\0'",
                "|".join(_PERIODIC),
                _TIMERS,
            )
        )

    default = dict

    def process(self, output: list[str]) -> Effective:
        """Read the records."""
        told = list(records(output, {"value": 2, "said": 1, "timers": 1}))
        texts = {record[0]: record[1] for record in told if record[0] != "value"}
        where = dict(line.rsplit(":", 1)[::-1] for line in texts.get("said", "").split("\n") if ":" in line)
        found: Effective = {
            record[1]: Value(record[2], f"/etc/apt/{where.get(record[1], '')}")
            for record in told
            if record[0] == "value" and record[1] in _PERIODIC and record[2]
        }
        for name, state in zip(_TIMERS, texts.get("timers", "").split("\n"), strict=False):
            off = state in ("masked", "masked-runtime", "disabled")
            found[name] = Value(state if off else "enabled", f"/etc/systemd/system/{name}")
        return found
