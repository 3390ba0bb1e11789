"""Cells of `upgrade` and `hardening`: what is installed is what was pinned, and security updates have a source."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.drills import looks, npm_registry
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts, services
from tests.lab.base import apt_sources
from tests.lab.instance import Lab
from tests.lab.mirror import claude_code
from tests.lab.mirror.clients import npm_pack
from tests.lab.mirror.packing import pack, unpack

HOME = "/home/claude"
TOOLS = "/usr/local/lib/signalbox"
NODE = f"{HOME}/.local/share/mise/installs/node"
# The agent's: wherever a pinned program is, was or could be, one of its own takes its place, again and again.
_SWAP = r"""
fake=$HOME/fake
printf '#!/bin/sh\necho 2.1.329 v22.23.3 swapped\n' > $fake && chmod 755 $fake
end=$(($(date +%s) + 400))
while [ -e $HOME/swapping ] && [ $(date +%s) -lt $end ]; do
    for each in $HOME/.local/bin/claude $HOME/.local/share/mise/installs/node/*/bin/node \
        $HOME/.local/share/signalbox/claude-code-*/node_modules/@anthropic-ai/*/claude \
        /usr/local/lib/signalbox/*/bin/* /usr/local/lib/signalbox/claude-code-*/node_modules/@anthropic-ai/*/claude \
        /usr/local/lib/signalbox/*.new/archive; do
        { [ -e "$each" ] || [ -L "$each" ]; } && cp $fake "$each.x" && mv -f "$each.x" "$each"
    done 2>/dev/null
    echo >> $HOME/rounds
done
"""


def _programs() -> str:
    """Return hashes of what `claude` and `node` start, as their user starts them."""
    found = f"{HOME}/.local/bin/claude $(ls -d {NODE}/*.*.*/bin/node)"
    return looks.answer(f"for each in {found}; do sha256sum < $(readlink -f $each); done")


def swapped(stage: Stage) -> Figures:
    """While the agent swaps programs in a loop: what is installed is what was pinned, or the plan names it."""
    site = stage.converged()
    pinned = _programs()

    def genuine() -> None:
        found = _programs()
        assert found == pinned, f"other programs: {found}"

    looks.answer(f"rm -rf {TOOLS}/claude-code-* {TOOLS}/node-* {NODE}/*", user="root")
    hosts.run(HOST, "cat > swap.sh && touch swapping && rm -f rounds", user="claude", stdin=_SWAP)
    looks.answer(
        f"systemd-run --quiet --unit=drill-swap --uid=claude --setenv=HOME={HOME} sh {HOME}/swap.sh", user="root"
    )
    during = site.deploy()
    rounds = int(looks.answer("wc -l < rounds"))
    looks.answer(
        "rm swapping; for i in $(seq 100); do systemctl is-active -q drill-swap || exit 0; sleep 0.1; done; exit 1"
    )
    control = must_fail(genuine, "the agent's own programs in their place")
    assert rounds > 100, f"only {rounds} rounds"
    planned = site.plan().ok().planned(HOST)
    assert any("claude is Claude Code" in name for name in planned), planned
    assert any("node" in name and "is installed" in name for name in planned), planned
    site.deploy().ok()
    genuine()
    owners = looks.answer(f"find {TOOLS} ! -user root -o -perm /022 ! -type l", user="root")
    assert not owners, owners
    assert not site.plan().ok().planned(HOST)
    looks.answer("rm -f swap.sh fake rounds")
    return {
        "rounds of swapping": rounds,
        "deploy meanwhile": "went through" if during.status == 0 else f"failed: {', '.join(during.failing(HOST))}",
        "named by the plan": "; ".join(planned),
        "next deploy": "the pinned programs",
        "control": control,
    }


def repacked(stage: Stage) -> Figures:
    """The same version of another archive is deployed; an archive that is not the pinned one is not, and it is told."""
    stage.converged()
    lab = services.lab_settings()
    version, name = lab["pins"]["claude_code"]["version"], claude_code.PARTS["amd64"]
    readme = f"{TOOLS}/claude-code-{version}/node_modules/{name}/README.md"

    def marked() -> None:
        looks.answer(f"grep -q repacked {readme}")

    with tempfile.TemporaryDirectory(prefix="signalbox-repacked-") as temporary:
        directory = Path(temporary)
        archive = npm_pack(f"{name}@{version}", directory / "original")
        unpack(archive, directory / "other" / "package")
        with (directory / "other/package/README.md").open("a") as file:
            file.write("repacked\n")
        other = pack(directory / "other", ["package"], directory / "other.tgz").path
        with npm_registry.serving(Lab.current().ipv4(1), directory, {name: {version: other}}) as url:
            integrity = {**lab["pins"]["claude_code"]["integrity"], "amd64": npm_registry.integrity(other)}
            settings = {"mirrors": {"npm": url}, "pins": {"claude_code": {"integrity": integrity}}}
            site = stage.site(settings=settings)
            control = must_fail(marked, "the archive of before")
            planned = site.plan().ok().planned(HOST)
            assert any("Claude Code" in each and "is installed" in each for each in planned), planned
            site.deploy().ok()
            marked()
            assert not site.plan().ok().planned(HOST)
            # Now the registry has something else than what is pinned.
            wrong = stage.site(settings={"mirrors": {"npm": url}}).deploy()
            told = re.search(r"what came is not what is pinned[^\n]*", wrong.stderr)
            assert wrong.status, "an archive that is not the pinned one was installed"
            assert told, wrong.stderr[-2000:]
            marked()
            left = looks.answer(f"ls -d {TOOLS}/*.new 2>/dev/null || true", user="root")
            assert not left, left
    stage.site().deploy().ok()
    must_fail(marked, "the first archive again")
    assert not stage.site().plan().ok().planned(HOST)
    return {"another pin of one version": "; ".join(planned), "another archive": told[0], "control": control}


_INDEXES = "apt-get indextargets --format '$(ORIGIN) $(LABEL) $(CODENAME)' 'Created-By: Packages'"
_SOURCES = "/etc/apt/sources.list.d/debian.sources"


def security(stage: Stage) -> Figures:
    """With a mirror of Debian the security archive is there, and an update in it is found; without it that is told."""
    site = stage.converged()
    listed = re.findall(r"^URIs: (\S+)\nSuites: trixie(\S*)$", apt_sources() or "", re.M)
    uris = {pocket: uri for uri, pocket in listed}
    assert {"", "-security"} <= set(uris), f"this machine's own sources are no example: {uris}"
    before = looks.answer(f"cat {_SOURCES}", user="root")

    def found() -> None:
        looks.answer("apt-get -q update 2>&1", user="root", timeout=300)
        indexes = looks.answer(_INDEXES, user="root")
        assert "Debian Debian-Security trixie-security" in indexes, indexes

    def told() -> str:
        said = [line.strip() for line in site.plan().ok().stderr.splitlines() if "upgrades-no-source" in line]
        assert said, "the plan says nothing of security updates"
        return said[0]

    mirrors = {"debian": uris[""], "debian_security": uris["-security"]}
    mirrored = stage.site(settings={"mirrors": mirrors})
    mirrored.deploy().ok()
    found()
    assert not mirrored.plan().ok().planned(HOST)
    older = _older()
    upgrade = looks.answer("unattended-upgrade --dry-run --debug 2>&1", user="root", timeout=300)
    waiting = re.search(r"Packages that will be upgraded: (.*)", upgrade)
    assert "label=Debian-Security" in upgrade, upgrade[-2000:]
    assert not older or (waiting and older in waiting[1]), upgrade[-2000:]
    looks.answer("unattended-upgrade 2>&1", user="root", timeout=600)
    none = {"mirrors": {**mirrors, "debian_security": None}, "base": {"unattended_upgrades": False}}
    stage.site(settings=none).deploy().ok()
    control = must_fail(found, "no security archive")
    site.deploy().ok()
    assert looks.answer(f"cat {_SOURCES}", user="root") == before, "the host's own sources are not back"
    found()
    must_fail(told, "a security archive in the host's own sources")
    looks.answer(f"sed -i 's/^Suites: trixie-security$/Suites: trixie-none/' {_SOURCES}", user="root")
    warning = told()
    looks.answer(f"sed -i 's/^Suites: trixie-none$/Suites: trixie-security/' {_SOURCES}", user="root")
    return {
        "update found": older or "none of an installed package in the archive now",
        "own sources": "back, as they were",
        "without": warning,
        "control": control,
    }


def _older() -> str:
    """Install an older version of a package of which the security archive has a newer one; "" where there is none."""
    # Those that are alone of their source, so that nothing else must go with them.
    script = r"""
    dpkg-query -W -f '${source:Package} ${Package}\n' |
        awk '{count[$1]++; name[$1] = $2} END {for (each in count) if (count[each] == 1) print name[each]}' |
        sort >/run/alone
    for name in $(sed -n 's/^Package: //p' /var/lib/apt/lists/*security*Packages | sort -u | comm -12 - /run/alone); do
        old=$(apt-cache madison $name | awk '$6 ~ /^trixie\// {print $3; exit}')
        new=$(apt-cache madison $name | awk '$6 ~ /^trixie-security\// {print $3; exit}')
        [ -n "$old" ] && dpkg --compare-versions "$old" lt "$new" || continue  # a point release may have it already
        apt-get -qqy --no-remove --allow-downgrades install $name=$old >/dev/null 2>&1 || continue
        apt-cache policy $name | grep -q "Installed: $old" && echo $name && exit
    done
    """
    return looks.answer(script, user="root", timeout=600)
