"""Every difference between a bare host and a converged one, and how each is tampered with, or why it is not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from signalbox.shell.manifest import MANIFEST, Entry
from tests.drills.inspection import Difference, Inspection

USERS = ("claude", "litellm")
ENGINE = "runuser -u litellm -- env DOCKER_HOST=unix:///run/user/$(id -u litellm)/docker.sock docker"
TOOLS = "/usr/local/lib/signalbox"


@dataclass(frozen=True)
class Tampering:
    """One thing that is made other than it was.

    batch: those of one batch do not meet, and are done together. done: what is done to it, in words. script: shell,
    as root. named: what a line of the plan must hold for it.
    """

    batch: str
    thing: str
    done: str
    script: str
    named: str

    def is_named(self, line: str) -> bool:
        """Return whether a line of the plan names this very thing, not one below it."""
        return re.search(rf"{re.escape(self.named)}($|[^\w/.-])", line) is not None


# What stands on the short list: why it is not tampered with, and which differences those are.
EXCEPTED = {
    "another host's own": r"file /etc/(hostname|hosts|machine-id|ssh/ssh_host_.*|network/interfaces\.d/host0)"
    r"|file /var/lib/systemd/(credential\.secret|random-seed|timers.*)|file /var/lib/dbus/machine-id",
    "made by the scripts of a package, which is a row itself": r"file /etc/(alternatives|rc.\.d)/.*"
    r"|file /etc/(pam\.d/common-.*|shells|passwd|group|shadow|gshadow|passwd-|group-|shadow-|gshadow-|subuid-|subgid-)"
    r"|file /etc/apt/(apt\.conf\.d/(20auto-upgrades|50unattended-upgrades)|listchanges\.conf)"
    r"|file /etc/systemd/system/(dbus-org\.freedesktop\.timesync1\.service|.*\.wants/(?!signalbox).*)"
    r"|file /usr/.*/__pycache__(/.*)?|file /usr/share/(info|mime|applications|perl5|doc)/.*|file /etc/monit.*"
    r"|file /etc/ld\.so\.cache|file /var/lib/(dpkg|pam|ucf|shells\.state|systemd/deb-systemd-helper.*|git|python)(/.*)?"
    r"|file /var/lib/(unattended-upgrades|fail2ban|containerd|docker|private|systemd/timesync|apt-listchanges)(/.*)?"
    r"|file /(etc/apparmor\.d/local|var/lib/man-db)(/.*)?"
    r"|(user|group) systemd-timesync|group docker|file /(usr/local/lib/python3.*|etc/(perl|pm)(/.*)?)",
    "logs and package caches": r"file /var/(log|cache|backups|lib/apt)(/.*)?|file /var/lib/command-not-found.*",
    "what programs keep for themselves": r"file /home/[^/]+/\.(npm|cache|local/state|gnupg)(/.*)?"
    r"|file /home/[^/]+/\.local/share/(docker|mise(?!/installs/node/[^/]+/bin/node$))(/.*)?"
    r"|file /home/[^/]+/\.local(/share)?"
    r"|file /home/[^/]+/\.config/systemd/user/[^/]+\.wants|file /root/\.(cache|local)(/.*)?"
    r"|file /var/lib/systemd/(linger|coredump|catalog|rfkill)$",
    "copied from /etc/skel with the user, and the user's own": r"file /home/[^/]+/\.(bash_logout|bashrc|profile)",
    "which package brings it is a row": r"unit (acct|apt-listchanges|containerd\.service|systemd-time|unattended).*"
    r"|unit man-db\..*"
    r"|unit dbus-org\.freedesktop\..*",
    "beside a pinned program, which is a row": rf"file {TOOLS}/claude-code-[^/]+(/(?!.*/claude$).*)?"
    rf"|file {TOOLS}/(mise|node)-[^/]+(/(?!bin/(mise|node)$).*)?",
    "links that update-ca-certificates makes of the certificates, which are rows": r"file /etc/ssl/certs/.*",
    "the state of a unit that is a row": r"file /etc/systemd/system/(docker|containerd)\.(service|socket)"
    r"|file /(etc|home/[^/]+/\.config)/systemd/(system|user)/[^/]+\.wants/.*",
    "a user's own group, made and taken away with it": r"group (claude|litellm)",
    "of other drills on the same host": r"(user|group|file /home/|file /etc/sudoers\.d/) ?admin(/.*)?",
    "the loaded state of what is a row": r"unit (user-runtime-dir@|user@|session-).*|container .*",
    "Debian's own units of every user manager": r"user unit [^:]+: (?!docker|litellm|claude).*",
    "another user's view of a unit file that is a row": r"user unit [^:]+: claude-(session|task)@.*"
    r"|user unit claude: claude-doctor\.service|unit signalbox-guard\.timer",
    "made for the keys in it, below a home that is private": r"file /home/[^/]+/\.ssh",
    "what was there before us, and nothing to compare it with": r"file /var/lib/signalbox/(originals(/.*)?|etc-before)",
    "made anew, with their modes, whenever an entry is written": r"file /var/lib/signalbox(/manifest)?",
    "data: what the gateway was asked, what the guard has undone": r"file /var/lib/signalbox/(audit|guard)/.*",
}  # fmt: skip
# What an entry of the manifest alone tells: whether a thing that was there already is ours.
SILENT = ("directory", "package", "unit", "key", "line", "linger", "user", "sysctl", "image", "mode", "choice")
AUDIT = "/var/lib/signalbox/audit"  # a directory that nobody else makes
# A person's files of which something is ours: what is tampered with is that.
OURS_IN = {
    r"/home/claude/\.(bashrc|profile|zshenv|bash_profile)": ("our line removed", "sed -i 1d {}"),
    r"/home/claude/\.ssh/authorized_keys": ("our key removed", ": > {}"),
    r"/home/claude/\.claude/settings\.json": ("our choice removed", "echo '{{}}' > {}"),
    r"/etc/sub[ug]id": ("the ranges removed", "sed -i /^claude:/d {}"),
}


def excepted(each: Difference, after: Inspection) -> str:
    """Return why this difference is not tampered with, "" where it is."""
    if each.kind == "file" and each.name in after.packaged:
        return "made by the scripts of a package, which is a row itself"
    if each.kind == "package" and "manual" not in (each.now or ""):
        return "needed by a package that is a row: apt takes both away"
    if each.kind == "file" and "to /etc/alternatives/" in (each.now or ""):
        return "made by the scripts of a package, which is a row itself"
    if (entry := _entry(each)) and entry.kind in SILENT and entry.id != AUDIT:
        return "the manifest's word that a thing is ours: without it, it counts as somebody else's, and is left alone"
    words = f"{each.kind} {each.name}"
    return next((reason for reason, rule in EXCEPTED.items() if re.fullmatch(rule, words)), "")


def _entry(each: Difference) -> Entry | None:
    """Return the entry of the manifest that this file is."""
    if each.kind != "file" or not each.name.startswith(f"{MANIFEST}/"):
        return None
    _, _, _, line = (each.now or "").split(" ", 3)
    return Entry.from_json(line)


def tamperings(each: Difference) -> Iterator[Tampering]:
    """Yield the ways to tamper with this difference; none: nobody has thought of it."""
    if each.kind == "file":
        yield from _of_file(each)
    elif each.kind == "package":
        yield Tampering("packages", f"package {each.name}", "removed", each.name, each.name)
    elif each.kind == "user" and each.name in USERS:
        thing = f"user {each.name}"
        yield Tampering(
            "accounts", thing, "another shell", f"usermod -s /bin/sh {each.name}", f"user {each.name}, shell"
        )
    elif each.kind == "unit":
        yield from _of_unit(each)
    elif each.kind == "user unit":
        yield from _of_user_unit(each)
    elif each.kind == "image":
        user = each.name.partition(":")[0]
        stop = f"systemctl --user --machine={user}@.host stop litellm.service"
        script = f"{stop}; {ENGINE} image rm --force $({ENGINE} image ls -q)"
        yield Tampering("image", f"image {each.name}", "removed", script, f"image of {user}")
    elif each.kind == "sysctl":
        yield Tampering("kernel", f"sysctl {each.name}", f"{each.now} → {each.was}",
                        f"sysctl -qw {each.name}={each.was}", f"{each.name}:")  # fmt: skip
    elif each.kind == "rule":
        # Without these the plan itself would not come in: what it cannot reach is unknown, which is no proof.
        done = "lets in more" if re.search(r"tcp dport|chain input$", each.name) else "removed from the loaded rules"
        yield Tampering("rules", f"rule {each.name}", done, each.name, "firewall")


# Programs are named by what is pinned.
_PINNED = {
    rf"{TOOLS}/claude-code-[^/]+/.*/claude": "claude-code:",
    rf"{TOOLS}/mise-[^/]+/bin/mise": "mise:",
    rf"{TOOLS}/node-[^/]+/bin/node": "node:",
    r"/home/claude/.*/installs/node/[^/]+/bin/node": "node of claude",
}


def _of_file(each: Difference) -> Iterator[Tampering]:
    path, thing = shlex.quote(each.name), f"file {each.name}"
    kind, mode, owner, *_ = (each.now or "").split()
    other = "claude" if owner.startswith("root:") else "root"
    base = Tampering(
        "", thing, "", "", next((name for rule, name in _PINNED.items() if re.fullmatch(rule, each.name)), each.name)
    )
    if each.name.startswith("/var/lib/systemd/linger/"):
        user = each.name.rpartition("/")[2]
        yield replace(base, batch="linger", done="switched off", script=f"loginctl disable-linger {user}",
                      named=f"linger of {user}")  # fmt: skip
        return
    for rule, (done, script) in OURS_IN.items():
        if re.fullmatch(rule, each.name):
            named = "subordinate" if "sub" in rule else each.name
            yield replace(base, batch="edited", done=done, script=script.format(path), named=named)
            return
    if kind == "link":
        yield replace(base, batch="edited", done="points elsewhere", script=f"ln -sfT /bin/false {path}")
        return
    if entry := _entry(each):
        named = {"tool": f"{entry.id}:", "subids": f"ids of {entry.id}, manifest entry"}.get(
            entry.kind, f"{entry.id}, manifest entry"
        )
        yield replace(base, batch="forgotten", done="removed", script=f"rm {path}", named=named)
        return
    changed = f"{int(mode, 8) ^ 0o004:o}"
    yield replace(base, batch="modes", done=f"mode {mode} → {changed}", script=f"chmod {changed} {path}")
    if kind == "directory":
        if not each.name.startswith("/home/"):
            yield replace(base, batch="owners", done=f"owner {owner} → daemon", script=f"chown daemon {path}")
        return
    yield replace(base, batch="owners", done=f"owner {owner} → {other}", script=f"chown {other}: {path}")
    yield replace(base, batch="edited", done="a line added", script=f"echo '# edited by hand' >> {path}")
    yield replace(base, batch="removed", done="removed", script=f"rm {path}")


def _of_unit(each: Difference) -> Iterator[Tampering]:
    state, thing = (each.now or "").split(), f"unit {each.name}"
    if "masked" in state:
        yield Tampering("units", thing, "unmasked", f"systemctl unmask -q {each.name}", each.name)
    if "enabled" in state:
        yield Tampering("units", thing, "disabled", f"systemctl disable -q {each.name}", f"{each.name}, at boot")
    if "active" in state:
        named = "the firewall's loaded rules" if "firewall" in each.name else f"{each.name}:"
        yield Tampering("units", thing, "stopped", f"systemctl stop {each.name}", named)


def _of_user_unit(each: Difference) -> Iterator[Tampering]:
    user, _, unit = each.name.partition(": ")
    ask, thing = f"systemctl --user --machine={user}@.host", f"user unit {unit} of {user}"
    if "enabled" in (each.now or ""):
        yield Tampering("units", thing, "disabled", f"{ask} disable -q {unit}", f"{unit} of {user}, at boot")
    if "active" in (each.now or ""):
        yield Tampering("units", thing, "stopped", f"{ask} stop {unit}", f"{unit} of {user}:")


@dataclass(frozen=True)
class Division:
    """All differences: the ways to tamper with them, what is excepted by its reason, and what nobody thought of."""

    tamperings: tuple[Tampering, ...]
    excepted: dict[str, int]
    unknown: tuple[Difference, ...]


def divided(differences: Iterable[Difference], after: Inspection) -> Division:
    """Divide all differences between a bare host and a converged one."""
    found: list[Tampering] = []
    reasons: dict[str, int] = {}
    unknown = []
    for each in differences:
        if reason := excepted(each, after):
            reasons[reason] = reasons.get(reason, 0) + 1
            continue
        ways = list(tamperings(each))
        found += ways
        if not ways:
            unknown.append(each)
    return Division(tuple(found), reasons, tuple(unknown))
