"""Every difference between a bare host and a converged one is tampered with: named by the plan, healed by a deploy."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from tests.drills import looks, record
from tests.drills.deployment import Site
from tests.drills.differences import Division, Tampering, divided
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.inspection import Inspection, inspect
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts
from tests.lab.machine import write

drill = Drill(
    "drift",
    "every difference between a bare host and a converged one",
    "A table generated from the difference between a bare and a converged host: each difference is named by the plan "
    "when it is tampered with (exit 2, exactly that), healed by a deploy (then exit 0), or on a short list with a "
    "reason. The rows: [drift_rows.md](drift_rows.md).",
)

BARE = lab_host("plain")
BATCHES = {
    "edited": "Contents and targets: what was written into is named by its path, and healed",
    "modes": "Modes: of each file and directory",
    "owners": "Owners: of each file, and of each directory outside of homes",
    "removed": "Files that were removed are named by their path, and are back",
    "forgotten": "Entries of the manifest that were removed",
    "packages": "Packages that were removed",
    "accounts": "Users whose shell is another",
    "units": "Units that were stopped, disabled or unmasked",
    "kernel": "Kernel settings that are as they were before",
    "image": "The gateway's image is gone",
    "linger": "Users whose services do not start at boot",
}
# What follows from a tampering, and is rightly named with it. Whatever is done to fail2ban's files, it must read anew.
ALWAYS = "fail2ban is enabled and runs what is on disk"
FIREWALL = "the firewall is as the settings say, and logins are proven"
FOLLOWS = {
    "linger": r".* of (claude|litellm)\b.*",
    "image": r"litellm\.service of litellm.*",
    "units": r"image of litellm: not to be seen, because Docker does not run.*",
    "packages": r"fail2ban\.service\b.*|image of litellm: .*",
}
# What changes while a host only runs; apt-listchanges takes its own timer away once it is done.
MOVING = re.compile(
    r"file /var/(log|cache|backups|lib/(apt|dpkg|ucf|systemd|fail2ban|signalbox))(/.*)?|file .*\.cred"
    r"|file /home/[^/]+/\.(npm|cache|local)(/.*)?|file /etc/(passwd|group|shadow|gshadow|subuid|subgid)-"
    r"|container .*|unit (user|session|apt|dpkg|systemd|man-db|e2scrub|fstrim).*"
    r"|user unit .*\.scope|file /root/.*|file .*/__pycache__(/.*)?"
    r"|file /etc/systemd/system/timers\.target\.wants/apt-listchanges\.timer"
    r"|sysctl (?!net\.ipv[46]\.conf\.(all|default)\.).*|user unit [^:]+: claude-doctor.*"
)  # fmt: skip


_known: dict[int, tuple[Division, Inspection]] = {}  # by stage: each cell leaves the host as it found it


def _division(stage: Stage) -> tuple[Division, Inspection]:
    """Return all differences of the converged host from a bare one, divided, and the converged host."""
    stage.converged()
    if id(stage) not in _known:
        if BARE not in hosts.running():
            stage.bare(BARE)
        after = inspect()
        _known[id(stage)] = divided(after.since(inspect(BARE)), after), after
    return _known[id(stage)]


def _plan(site: Site) -> tuple[int, dict[str, Any]]:
    run = site.signalbox("plan", "--json")
    return run.status, json.loads(run.stdout)


def _clean(site: Site) -> None:
    status, report = _plan(site)
    assert status == 0, (status, report)


def _lines(report: dict[str, Any]) -> list[str]:
    """Return what the plan says will be changed, a line for each difference."""
    (host,) = report["hosts"]
    found = []
    for change in host["changes"]:
        if change["certainty"] == "will":
            found += change["differences"] or [change["operation"]]
    return found


def _explains(tampering: Tampering, line: str) -> bool:
    """Return whether the line of the plan is of this tampering: its name, or that of the unit whose file it is."""
    if tampering.is_named(line):
        return True
    # An entry of the manifest is named by the file that it is of.
    paths = (tampering.thing.partition(" ")[2], tampering.named.partition(", ")[0])
    units = [name for path in paths for name in (os.path.basename(path), os.path.basename(os.path.dirname(path)))]
    names = [name.removesuffix(".d") for name in units]
    return any(re.match(r".+\.(service|timer|path|crt)$", unit) and line.startswith(unit) for unit in names)


def exactly(batch: str, done: Sequence[Tampering], lines: Sequence[str]) -> dict[str, str]:
    """AssertionError unless each tampering is named, and nothing else is. Returns each one's line by thing and deed."""
    named = {}
    missing = []
    for each in done:
        line = next((line for line in lines if each.is_named(line)), "")
        named[f"{each.thing}|{each.done}"] = line
        if not line:
            missing.append(f"{each.thing}: {each.done}")
    follows = f"{FOLLOWS.get(batch, ALWAYS)}|{ALWAYS}"
    more = [line for line in lines if not any(_explains(each, line) for each in done)
            and not re.fullmatch(follows, line)]  # fmt: skip
    assert (missing, more) == ([], []), f"not named: {missing}\nnamed beside: {more}"
    return named


def _healed(stage: Stage, site: Site, before: Inspection) -> int:
    """Deploy; AssertionError unless the plan is clean then, and the host as it was. Returns how much was changed."""
    changed = site.deploy().ok().changed(HOST)
    _clean(site)
    other = [str(each) for each in inspect().since(before) if not MOVING.fullmatch(f"{each.kind} {each.name}")]
    if other:
        _known.pop(id(stage))  # the cells after this one begin with the host as it is now
    assert not other, "not as before:\n" + "\n".join(other[:50])
    return len(changed)


def _script(batch: str, done: Sequence[Tampering]) -> str:
    if batch == "packages":
        return f"DEBIAN_FRONTEND=noninteractive apt-get -q -y remove {' '.join(each.script for each in done)}"
    return "\n".join(each.script for each in done)


def _cell(batch: str) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        site = stage.converged()
        division, before = _division(stage)
        done = [each for each in division.tamperings if each.batch == batch]
        assert done, "there is nothing of it"
        looks.answer(f"sh -c {shlex.quote(_script(batch, done))}", user="root")
        try:
            status, report = _plan(site)
            assert status == 2, (status, report)
            lines = _lines(report)
            named = exactly(batch, done, lines)
            control = must_fail(lambda: exactly(batch, done, lines[1:]), "one line of the plan left out")
        except BaseException:
            site.deploy()  # for the cells after this one
            _known.clear()
            raise
        changes = _healed(stage, site, before)
        _keep(batch, done, named)
        return {"tampered with": len(done), "named": len(named), "healed by": f"{changes} changes", "control": control}

    body.__doc__ = f"{BATCHES[batch]}."
    return body


@drill.cell("nothing-forgotten")
def nothing_forgotten(stage: Stage) -> Figures:
    """Each difference is tampered with in one of these cells, or excepted with a reason."""
    division, _ = _division(stage)
    assert not division.unknown, "\n".join(map(str, division.unknown))
    batches = {each.batch for each in division.tamperings} - {*BATCHES, "rules"}
    assert not batches, batches
    write(_rows("excepted"), json.dumps(division.excepted))
    return {"differences": len(division.tamperings) + sum(division.excepted.values()),
            "tampered with": len(division.tamperings), "reasons of the others": len(division.excepted)}  # fmt: skip


for _batch in BATCHES:
    drill.cell(_batch, fixed=_batch == "accounts")(_cell(_batch))


@drill.cell("rules")
def rules(stage: Stage) -> Figures:
    """Loaded rules of the firewall: each that is gone is named, and loaded again."""
    site = stage.converged()
    division, before = _division(stage)
    done = [each for each in division.tamperings if each.batch == "rules"]
    named = {}

    def told(what: object) -> str:
        status, report = _plan(site)
        (host,) = report["hosts"]
        operations = [change["operation"] for change in host["changes"]]
        assert (status, operations) == (2, [FIREWALL]), (what, status, operations)
        return str(operations[0])

    control = must_fail(lambda: told("nothing"), "all rules as they are")
    try:
        for each in done:
            looks.answer(_unload(each.script), user="root")
            named[f"{each.thing}|{each.done}"] = told(each)
            if each != done[-1]:
                _reload()
    except BaseException:
        _reload()
        raise
    changes = _healed(stage, site, before)
    _keep("rules", done, named)
    return {"tampered with": len(done), "named": len(named), "healed by": f"{changes} changes", "control": control}


def _reload() -> None:
    """Load the rules as they shall be, whether or not anybody can log in."""
    words = hosts.inside(HOST, "systemctl", "restart", "signalbox-firewall.service")
    subprocess.run(words, check=True, capture_output=True)


def _unload(rule: str) -> str:
    """Return shell that takes this rule, chain or table (as inspect_host names them) out of what is loaded."""
    found = re.fullmatch(r"table (inet \w+)(?: chain (\w+))?(?:: (.*))?", rule)
    assert found, rule
    table, chain, words = found.groups()
    if not chain:
        return f"nft delete table {table}"
    if not words:
        more = f"nft 'chain {table} {chain} {{ policy accept; }}' && " if chain == "input" else ""
        return f"{more}nft flush chain {table} {chain}"
    if words.startswith("type filter"):
        return f"nft 'chain {table} {chain} {{ policy accept; }}'"
    port = re.search(r"tcp dport \d+ accept", words)
    verb, instead = ("replace", port[0]) if port else ("delete", "")
    change = f"nft {verb} rule {table} {chain} handle $h {instead}"
    return (
        f"h=$(nft -a --stateless list chain {table} {chain} | grep -F {shlex.quote(words)} | sed 's/.*# handle //')"
        f' && [ -n "$h" ] && {change}'
    )


def _rows(batch: str) -> Any:
    return record.STATE / "drift" / f"rows-{batch}.json"


def _keep(batch: str, done: Sequence[Tampering], named: dict[str, str]) -> None:
    """Keep the rows of this batch."""
    rows = [[each.thing, each.done, named[f"{each.thing}|{each.done}"]] for each in done]
    write(_rows(batch), json.dumps(rows))


def _publish() -> None:
    """Write the page of all rows: those of batches that have run here, the others as they were."""
    path, excepted = record.DOCS / "drift_rows.md", "Not tampered with, and why"
    rows = record.sections(path)
    for batch in (*BATCHES, "rules"):
        if _rows(batch).exists():
            rows[batch] = [record.row(values) for values in json.loads(_rows(batch).read_text())]
    if _rows("excepted").exists():
        reasons = json.loads(_rows("excepted").read_text())
        most_first = sorted(reasons, key=lambda why: -reasons[why])
        rows[excepted] = [record.row((why, str(reasons[why]))) for why in most_first]
    batches = {batch: rows[batch] for batch in (*BATCHES, "rules") if batch in rows}
    head = [
        "# drift: the rows",
        "",
        f"{sum(map(len, batches.values()))} ways to tamper with what tells a converged host from a bare one. After "
        "each the plan ended with 2 and named it and nothing else; a deploy healed it, and the plan ended with 0. "
        "When, and with which commit: [drift.md](drift.md).",
    ]
    tables = {batch: ("thing | tampered with | what the plan said", each) for batch, each in batches.items()}
    record.write_sections(path, head, {**tables, excepted: ("reason | differences", rows.get(excepted, []))})


drill.rows = _publish
