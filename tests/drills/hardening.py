"""A host that is hard to get into, tried from a second one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.drills import looks, supplied, ways_out
from tests.drills.deployment import Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import DOCKER, OPTIONAL, TAMPERS, Tamper
from tests.lab import hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "hardening",
    "hard to get into for everyone but its owner",
    "A brute force from a second host is banned within the set number of tries, the controller never is; SSH from "
    "outside the allowed networks is dropped, also over IPv6; a port of a container is not reachable unless listed; "
    "what is tampered with is named and healed in one run; 12 ways out past the egress filter: none, and the control "
    "gets out.",
)

OTHER = lab_host("other")  # who wants to get in
# Healed together; each alone is a cell of the drill `converged`.
TOGETHER = (
    "guard", "guard-service", "guard-timer", "firewall-file", "firewall-loaded", "firewall-unit", "sshd-file",
    "fail2ban-limits", "fail2ban-action", "fail2ban-sandbox", "sysctl-file", "sysctl", "blocked-modules",
    "core-dumps", "core-dumps-services", "core-dumps-shells", "home-mode", "banner", "banner-network", "debsums",
    "upgrades",
    "nftables-firewall", "nftables-fail2ban",
)  # fmt: skip
THEIR_DOCKER = "DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock docker"  # the service user's
KEY = "/root/.ssh/id_ed25519"


def _named_and_healed(site: Site, chosen: Sequence[Tamper]) -> Figures:
    """Tamper with all of it at once; the plan names each, one deploy heals all, and the next plan is clean."""
    looks.answer("\n".join(f"{{ {each.drift}; }} || exit 1" for each in chosen), user="root")

    def sound() -> None:
        for each in chosen:
            looks.answer(each.sound, user="root")

    control = must_fail(sound, "all of it tampered with")
    planned = site.plan().ok().planned(HOST)
    unnamed = [each.title for each in chosen if not any(all(word in name for word in each.named) for name in planned)]
    assert not unnamed, f"not named: {unnamed}; the plan names {planned}"
    healing = site.deploy().ok()
    sound()
    again = site.plan().ok().planned(HOST)
    assert not again, f"the plan after the healing run names {again}"
    return {
        "tampered with": len(chosen),
        "named": len(planned),
        "healed in": f"{healing.seconds:.1f} s",
        "next plan": "no change",
        "control": control,
    }


@drill.cell("tampered", fixed=True)
def tampered(stage: Stage) -> Figures:
    """Every file of the hardening is tampered with at once: the plan names each, one deploy heals all."""
    return _named_and_healed(stage.converged(), [TAMPERS[name] for name in TOGETHER])


@drill.cell("tampered-optional")
def tampered_optional(stage: Stage) -> Figures:
    """The same of what is there with firewall.egress and hardening.reboot_at alone."""
    stage.converged()
    site = stage.site(settings={"firewall": {"egress": {"enabled": True}}, "hardening": {"reboot_at": "04:30"}})
    site.deploy().ok()
    seen = _named_and_healed(site, [*OPTIONAL.values()])
    stage.site().deploy().ok()
    return seen


def _other(stage: Stage) -> None:
    """Have a second host with a key of its own, which nobody knows."""
    if not hosts.exists(OTHER):
        stage.bare(OTHER)
    looks.answer(f"test -s {KEY} || ssh-keygen -q -t ed25519 -N '' -f {KEY}", host=OTHER, user="root")


def _knock(version: int = 4, user: str = "claude") -> str:
    """Try once to log in from the other host with its own key, and return what ssh says."""
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=3"
    line = f"ssh {options} -i {KEY} {user}@{hosts.address(HOST, version)} true"
    done = hosts.run(OTHER, line, check=False, timeout=60)
    assert done.returncode == 255, f"the other host got in: {done.stdout}"
    return done.stderr.strip().splitlines()[-1]


def _banned(address: str) -> bool:
    return address in looks.answer("fail2ban-client get sshd banip", user="root").split()


def _unspared(stage: Stage, failures: int, **more: object) -> Site:
    """Return the shared host where the LAN is not spared: only the controller is."""
    controller = {"ignored": ["controller"], "max_failures": failures, "ban_seconds": 900, "longest_ban_seconds": 900}
    return stage.site(settings={"fail2ban": controller, "ssh": {"unpunished": ["lan"]}, **more})


@drill.cell("brute-force")
def brute_force(stage: Stage) -> Figures:
    """Wrong keys for a user that exists are banned within the set number of tries, the controller's never."""
    stage.converged()
    _other(stage)
    failures, address = 4, hosts.address(OTHER)
    site = _unspared(stage, failures)
    site.deploy().ok()
    tries = 0
    started = time.monotonic()
    while tries < 3 * failures and not _banned(address):
        told = _knock()
        tries += "Permission denied" in told
        wait_until(lambda: _banned(address), 1, 0.2)
    assert _banned(address), f"not banned after {tries} tries"
    seconds = time.monotonic() - started
    assert tries <= failures, f"banned after {tries} tries, not {failures}"
    refused = _knock()
    assert "Permission denied" not in refused, refused
    # The controller fails more often than that, and goes on.
    for _ in range(2 * failures):
        must_fail(lambda: looks.login("nobody-of-that-name"), "a user that is not there")
    looks.login("claude")
    assert not _banned(Lab.current().ipv4(1)), "the controller is banned"
    firewall = {"firewall": {"open": {"tcp/8080": ["lan"]}}}
    _unspared(stage, failures, **firewall).deploy().ok()
    assert "Permission denied" not in _knock(), "the ban did not survive the firewall's reload"
    looks.answer("systemctl restart signalbox-firewall.service", user="root")
    assert "Permission denied" not in _knock(), "the ban did not survive the firewall's restart"
    score = looks.answer("systemd-analyze security fail2ban.service --no-pager | tail -n1", user="root")
    looks.answer(f"fail2ban-client set sshd unbanip {address}", user="root")
    control = _knock()
    assert "Permission denied" in control, f"control: after the ban it says {control}"
    stage.site().deploy().ok()
    return {
        "limit": failures,
        "banned after": f"{tries} tries, {seconds:.1f} s",
        "then": refused,
        "controller": f"{2 * failures} failures, not banned",
        "firewall reloaded and restarted": "still banned",
        "fail2ban's sandbox": score.split("level for ")[-1],
        "control": f"unbanned: {control}",
    }


@drill.cell("nftables-service")
def nftables_service(stage: Stage) -> Figures:
    """Debian's nftables.service is started, reloaded, restarted and stopped: our table and bans are there after it."""
    site = stage.converged()
    address = "203.0.113.77"  # of nobody: RFC 5737
    looks.answer(f"fail2ban-client set sshd banip {address}", user="root")

    def kept(seconds: float) -> None:
        look = (
            f"nft list chain inet signalbox input | grep -q drop && nft list table inet f2b-table | grep -q {address}"
        )
        assert wait_until(lambda: hosts.run(HOST, look, check=False).returncode == 0, seconds, 0.5), "a table is gone"

    kept(10)
    seen = {}
    for verb in ("start", "reload", "restart", "stop"):
        started = time.monotonic()
        looks.answer(f"systemctl {verb} nftables.service", user="root")
        time.sleep(0.5)
        kept(30)
        seen[verb] = f"there after {time.monotonic() - started:.1f} s"
        looks.answer("systemctl is-active signalbox-firewall.service fail2ban.service", user="root")
    planned = site.plan().ok().planned(HOST)
    assert not planned, planned
    looks.answer("rm -r /etc/systemd/system/nftables.service.d && systemctl daemon-reload", user="root")
    looks.answer("systemctl start nftables.service", user="root")
    control = must_fail(lambda: kept(10), "the drop-ins removed")
    looks.answer("systemctl stop nftables.service", user="root")
    healed = site.deploy().ok().changed(HOST)
    looks.answer("systemctl restart fail2ban.service", user="root")
    kept(30)
    looks.answer(f"fail2ban-client set sshd unbanip {address}", user="root")
    assert not site.plan().ok().planned(HOST)
    return {**seen, "next plan": "no change", "healed": len(healed), "control": control}


@drill.cell("outside")
def outside(stage: Stage) -> Figures:
    """SSH from outside the allowed networks is dropped, over IPv4 and IPv6; from inside it is answered."""
    stage.converged()
    _other(stage)
    before = {version: _knock(version) for version in (4, 6)}
    for version, told in before.items():
        assert "Permission denied" in told, f"control: IPv{version}: {told}"
    lab = Lab.current()
    allowed = [f"{lab.ipv4(1)}/32", f"{lab.ipv6(1)}/128"]
    stage.site(settings={"firewall": {"ssh_from": allowed}}).deploy().ok()
    after = {version: _knock(version) for version in (4, 6)}
    for version, told in after.items():
        assert "timed out" in told, f"IPv{version}: {told}"
    for version in (4, 6):
        looks.login("claude", version=version)
    ping = hosts.run(OTHER, f"ping -c1 -W2 {hosts.address(HOST, 6)}", check=False).returncode
    stage.site().deploy().ok()
    return {
        "allowed": ", ".join(allowed),
        "IPv4": after[4],
        "IPv6": after[6],
        "ping over IPv6": "answered" if ping == 0 else "not answered",
        "control": before[6],
    }


@drill.cell("container-port")
def container_port(stage: Stage) -> Figures:
    """A port that a container opens on 0.0.0.0 and [::] is not reachable from the LAN, unless it is listed."""
    stage.converged()
    _other(stage)
    docker = f"cd / && {DOCKER}"
    image = f"$({DOCKER} image ls --quiet | head -n1)"
    ports = "-p 0.0.0.0:8080:8080 -p '[::]:8080:8080'"
    run = f"run -d --name drill {ports} --entrypoint python3 {image} -m http.server 8080"
    serve = f"{docker} rm -f drill >/dev/null 2>&1; {docker} {run}"
    looks.answer(serve, user="root")

    def answered(host: str, *addresses: str) -> list[str]:
        curl = "curl -g -s -o /dev/null --max-time 3"
        return [
            each for each in addresses if not hosts.run(host, f"{curl} 'http://{each}:8080/'", check=False).returncode
        ]

    inside = ["127.0.0.1", "[::1]"]
    assert wait_until(lambda: answered(HOST, *inside) == inside, 60), f"the container serves {answered(HOST, *inside)}"
    both = [hosts.address(HOST), f"[{hosts.address(HOST, 6)}]"]
    assert answered(OTHER, *both) == [], "the container's port is reachable"
    stage.site(settings={"firewall": {"open": {"tcp/8080": ["lan"]}}}).deploy().ok()
    assert answered(OTHER, *both) == both, f"control: of a listed port, only {answered(OTHER, *both)} is reachable"
    stage.site().deploy().ok()
    assert answered(OTHER, *both) == [], "the port is still reachable"
    looks.answer(f"{docker} rm -f drill", user="root")
    return {
        "not listed": "not reachable",
        "listed": "reachable over IPv4 and IPv6",
        "taken off the list": "not reachable",
    }


@drill.cell("cannot-tell")
def cannot_tell(stage: Stage) -> Figures:
    """A kernel setting that the host refuses, as a container does, is said to be so: neither drift nor applied."""
    stage.converged()
    key, missing, settable = "kernel.kptr_restrict", "kernel.no_such_setting", "net.ipv4.conf.all.log_martians"
    now = {each: int(looks.answer(f"sysctl -n {each}", user="root")) for each in (key, settable)}
    other = {each: 1 - min(value, 1) for each, value in now.items()}
    site = stage.site(settings={"hardening": {"sysctl": {**other, missing: 1}}})
    deploy = site.deploy().ok()
    told = json.loads(site.signalbox("plan", "--json").ok().stdout)["hosts"][0]
    (remark,) = [each for each in told["remarks"] if each.startswith("cannot tell: ")]
    assert told["verdict"] == "clean", told
    named = [each for each in (key, missing, settable) if each in remark]
    assert named == [key, missing], remark
    assert "cannot tell: " in deploy.stderr, deploy.stderr[-1500:]
    after = {each: int(looks.answer(f"sysctl -n {each}", user="root")) for each in (key, settable)}
    assert after == {key: now[key], settable: other[settable]}, after
    claimed = looks.answer(f"grep -l {key} /var/lib/signalbox/manifest/sysctl-* || true", user="root")
    assert not claimed, claimed
    stage.site().deploy().ok()
    assert not stage.site().plan().ok().planned(HOST)
    return {"plan": f"clean; remark: {remark}", "control": f"{settable} is set, and not among them"}


def _reached(place: str, *, container: bool = False) -> None:
    """AssertionError unless the service user connects to `place` ("address/port"), from its shell or a container."""
    line = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{place}'"
    if container:
        line = f"{THEIR_DOCKER} run --rm drill timeout 5 bash -c 'exec 3<>/dev/tcp/{place}'"
    done = hosts.run(HOST, line, user="claude", check=False)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no answer"


def _blocked(place: str, *, container: bool = False) -> str:
    """Return why `place` is not reached, "" when it is."""
    try:
        _reached(place, container=container)
    except AssertionError as error:
        return str(error)
    return ""


def _small_image() -> None:
    """Have an image in the service user's own engine that holds what connects, and nothing else."""
    files = "$(ldd /usr/bin/bash /usr/bin/timeout | grep -o '/[^ :]*' | sort -u)"  # those two, and what they need
    make = f"tar -C / -ch --hard-dereference {files} | {THEIR_DOCKER} import - drill >/dev/null"
    looks.answer(f"{THEIR_DOCKER} image inspect drill >/dev/null 2>&1 || {{ {make}; }}")


@drill.cell("egress")
def egress(stage: Stage) -> Figures:
    """With firewall.egress the service user and its containers reach what the settings name, and nothing else."""
    stage.converged()
    _other(stage)
    _small_image()
    other = hosts.address(OTHER)
    serve = "systemd-run --quiet --unit=drill-web python3 -m http.server"
    looks.answer(f"systemctl is-active drill-web || {serve} 8080", host=OTHER, user="root")
    named = "allowed.example"
    looks.answer(f"sed -i '/{named}/d' /etc/hosts && echo '{other} {named}' >> /etc/hosts", user="root")
    lm_studio = stage.site().settings["backends"]["lmstudio"]["url"]
    backend = urlsplit(lm_studio).netloc.replace(":", "/")
    elsewhere = f"{other}/8080"
    assert wait_until(lambda: not _blocked(elsewhere), 60), "control: the other host does not answer before"

    closed = {"firewall": {"egress": {"enabled": True}}}
    stage.site(settings=closed).deploy().ok()
    assert not stage.site(settings=closed).plan().ok().planned(HOST)
    for place in (backend, "127.0.0.1/4000"):
        assert not _blocked(place), f"{place} is not reached"
    why = _blocked(elsewhere)
    assert why, f"{elsewhere} is reached"
    assert _blocked(f"{hosts.address(OTHER, 6)}/22"), "over IPv6 it is reached"
    assert not _blocked(backend, container=True), "the model server is not reached from a container"
    assert _blocked(elsewhere, container=True), "the other host is reached from a container"
    looks.answer("getent ahosts localhost", user="claude")
    looks.answer(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{elsewhere}'", user="root")  # others are not held
    logins_work = [looks.login(user) for user in ("root", "claude")]

    opened = {"firewall": {"egress": {"enabled": True, "allow": {"tcp/8080": [named]}}}}
    stage.site(settings=opened).deploy().ok()
    assert not _blocked(elsewhere), "a name that is listed is not reached"
    assert not _blocked(elsewhere, container=True), "a name that is listed is not reached from a container"
    looks.answer("systemctl restart signalbox-firewall.service", user="root")
    assert wait_until(lambda: not _blocked(elsewhere), 30), "names are not looked up again after a reload"
    looks.answer("nft flush set inet signalbox egress4", user="root")
    control = must_fail(lambda: _reached(elsewhere), "the address taken out")
    stage.site().deploy().ok()
    assert not _blocked(elsewhere), "switched off, and still held"
    assert not stage.site().plan().ok().planned(HOST)
    looks.answer(f"sed -i '/{named}/d' /etc/hosts", user="root")
    looks.answer("systemctl stop drill-web", host=OTHER, user="root")
    return {
        "allowed": "model server, gateway, and a name that is listed: reached, from a container too",
        "another host": f"not reached ({why}), nor over IPv6, nor from a container; root reaches it",
        "logins": f"{len(logins_work)} of 2",
        "firewall restarted": "names are looked up again",
        "control": control,
    }


@drill.cell("ways-out")
def all_ways_out(stage: Stage) -> Figures:
    """No way past the egress filter: another host watches the cable while the service user tries each of them."""
    stage.converged()
    _other(stage)
    _small_image()
    serve = "systemd-run --quiet --unit=drill-web python3 -m http.server"
    looks.answer(f"systemctl is-active drill-web || {serve} 8080", host=OTHER, user="root")
    allowed = {f"udp/{ways_out.ALLOWED}": [f"{hosts.address(OTHER, 6)}/128"]}
    site = stage.site(settings={"firewall": {"egress": {"enabled": True, "allow": allowed}}})
    site.deploy().ok()
    ways_out.place(OTHER)
    every = [way.name for way in ways_out.WAYS]
    load = "systemctl restart signalbox-firewall.service && systemctl start signalbox-egress.service"
    with ways_out.ids_given():
        free = ways_out.came_out(OTHER, "true")
        assert free == every, f"without rules these did not come out: {[each for each in every if each not in free]}"
        past = ways_out.came_out(OTHER, load)
        assert not past, f"past the filter: {past}"
        alone = ways_out.by_uid_alone(looks.answer(f"cat {ways_out.RULES}", user="root"))
        hosts.run(HOST, "cat > /run/drill-alone.nft", stdin=alone)
        control = ways_out.came_out(OTHER, "nft -f /run/drill-alone.nft")
        assert ways_out.UNSHARE in control, f"by the user id alone, these got out: {control}"
        asked = ways_out.fetched(OTHER)
        assert not asked, "the gateway fetches what a request names"
        # Given ids are a difference, and after the next deploy they are held wherever the user has them.
        looks.answer(load, user="root")
        named = [each for each in site.plan().ok().planned(HOST) if "firewall" in each]
        assert named, "the plan does not name the ids that the user was given"
        site.deploy().ok()
        rules = looks.answer("nft list chain inet signalbox output", user="root")
        assert f"{ways_out.LATER}-" in rules, rules
    assert [each for each in site.plan().ok().planned(HOST) if "firewall" in each] == named, "not named once more"
    stage.site().deploy().ok()
    assert not stage.site().plan().ok().planned(HOST)
    looks.answer("systemctl stop drill-web", host=OTHER, user="root")
    return {
        **{way: f"held{' (by the user id alone: out)' if way in control else ''}" for way in every},
        "not held": ", ".join(way.name for way in ways_out.FREE),
        "an image that the gateway is told to fetch": "not fetched; the gateway's user itself reaches it",
        "ids given since": f"the plan names them: {named[0]}",
        "control": f"without rules all {len(free)} come out; by the user's id alone {len(control)}, unshare among them",
    }


drill.cell("security")(supplied.security)
