"""A host that people already use: what is theirs is compared byte for byte, from outside, before and after."""

from __future__ import annotations

import re

from tests.drills import lived_in_killed, lived_in_sections, lived_in_writes, looks
from tests.drills.a_life import GIVEN_UP, LIVED, THEIRS, life, light, lived, lived_lightly, same, served, within
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import Stage
from tests.lab import hosts

drill = Drill(
    "lived_in",
    "nothing of a person's is lost, nothing is taken away unsaid",
    "A host with a life before us (a web server, a database, a LAN share, docker-ce with data, the user's "
    "rootless Docker with containers, jails, tables of rules, a Match block, chrony, crontabs; dotfiles by links "
    "of both kinds, keys with options, a bind mount below a home, nvm, mise, npm -g tools, skills and MCP "
    "servers, an expired user of the gateway's name): refused, deployed to, each section off, on and changed, "
    "upgraded and back, users renamed, runs killed at ten moments, given back; after each, everything of the "
    "person's is compared byte for byte from outside and every service asked; what differs was named before. The "
    "same writes on full disks, and with each helper program failing. nvm is its layout and its lines in "
    "~/.bashrc, with a real Node; docker-ce has Debian's programs.",
)


def refused(run: Run, *words: str) -> None:
    """AssertionError unless the run failed, with these words, and nothing on the host was changed."""
    assert run.status != 0, run.stderr[-2000:]
    missing = [word for word in words if word not in run.stderr]
    assert not missing, f"not said: {missing}\n{run.stderr[-3000:]}"
    written = [path for path in looks.written(host=LIVED) if not path.startswith("/root")]
    assert not written, written


@drill.cell("refused", fixed=True)
def packages_refused(stage: Stage) -> Figures:
    """A person's packages that would have to go stop the first deploy before it, by name, until the settings say so."""
    before = lived_lightly(stage)
    looks.mark(host=LIVED)
    run = stage.site(LIVED).deploy()
    refused(run, *THEIRS, "replaces = [")
    same(before, light())
    plan = stage.site(LIVED, settings=GIVEN_UP).plan().ok()
    control = must_fail(lambda: refused(plan, *THEIRS), "their names in the settings")
    told = stage.site(LIVED, settings=GIVEN_UP).signalbox("plan").stdout
    named = [name for name in THEIRS if re.search(rf"\b{re.escape(name)}: \S+ → nothing", told)]
    assert named == list(THEIRS), told[-3000:]
    return {"refused": ", ".join(THEIRS), "files written": 0, "named by the plan once given up": ", ".join(named),
            "control": control}  # fmt: skip


@drill.cell("life")
def a_life(stage: Stage) -> Figures:
    """Deployed to and given back, a host has all that was a person's; what stays of what came meanwhile is named."""
    before, during = lived(stage), within()
    unsaid = {**GIVEN_UP, "rootless_docker": {"replaces_root": True}}
    stopped = stage.site(LIVED, settings=unsaid).deploy()
    assert stopped.status == 1, stopped.stderr[-2000:]
    assert '{"storage-driver": "vfs"}' in stopped.stderr, stopped.stderr[-3000:]
    site = stage.site(LIVED, settings=GIVEN_UP)
    told = " ".join(site.signalbox("plan").stdout.split())
    begun = [name for name in ("pages", "plain") if f"container {name} of claude: running → begun again" in told]
    assert begun == ["pages", "plain"], told[-6000:]
    same(before, life())
    served(roots=True)
    site.deploy().ok()
    same(during, within())
    answered = served()
    control = must_fail(lambda: same(before, life()), "Signalbox on it")
    own = _meanwhile()
    gone = site.remove().ok()
    assert "volume theirs" in gone.stderr, gone.stderr[-3000:]
    same(before, life())
    served(roots=True)
    assert _meanwhile_now() == own
    kept = hosts.run(LIVED, "cat /var/lib/signalbox/originals/package-etc-apt-apt.conf.d-50unattended-upgrades").stdout
    assert kept.endswith("// mine\n"), kept[-200:]
    assert "package-etc-apt-apt.conf.d-50unattended-upgrades" in gone.stderr
    stage.discard(LIVED)
    return {"as before": ", ".join(before), "asked each time": ", ".join(answered),
            "named before it was begun again": ", ".join(begun), "kept of meanwhile": ", ".join(own),
            "control": control}  # fmt: skip


drill.cell("sections")(lived_in_sections.sections)
drill.cell("killed")(lived_in_killed.killed)

_NODE = "/home/claude/.local/share/mise/installs/node/*/lib/node_modules"
_DOCKER = "/home/claude/.local/share/docker/volumes/theirs"
OWN = {
    "npm -g": f"cat {_NODE}/theirs/package.json",
    "volume": f"cat {_DOCKER}/_data/file",
}


def _meanwhile() -> dict[str, str]:
    """Have what a person makes on a converged host: a tool of npm's, a volume, an edited file of a package's."""
    tool = 'mkdir -p made && cd made && printf \'{"name": "theirs", "version": "1.0.0"}\\n\' > package.json'
    looks.answer(f"{tool} && npm pack --silent >/dev/null && npm install -g --silent ./theirs-1.0.0.tgz", host=LIVED)
    looks.answer("docker volume create theirs", host=LIVED)
    looks.answer(f"rootlesskit sh -c 'echo mine > {_DOCKER}/_data/file'", host=LIVED)
    looks.answer("echo '// mine' >> /etc/apt/apt.conf.d/50unattended-upgrades", host=LIVED, user="root")
    return _meanwhile_now()


def _meanwhile_now() -> dict[str, str]:
    return {what: looks.answer(command, host=LIVED, user="root") for what, command in OWN.items()}


drill.cell("full")(lived_in_writes.full_disk)
drill.cell("helpers")(lived_in_writes.helpers)
