"""verify as people run it: what it asks for money, its drill of failover, its timer, what it writes, hostile homes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

from tests.drills import looks
from tests.drills.deployment import Running, Site
from tests.drills.drill import Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import Stage
from tests.drills.told import doctor, drill, seen, symptoms, verify, well_again
from tests.lab import services
from tests.lab.instance import Lab
from tests.lab.machine import wait_until
from tests.lab.mirror.servers import REGISTRY_PORT
from tests.lab.simulators.personalities.llama_cpp import LlamaCpp
from tests.lab.simulators.personalities.open_webui import OpenWebUI


@drill.cell("billed")
def billed(stage: Stage) -> Figures:
    """--billed sends one short request to each cloud lane; without it no cloud is asked, whatever fails."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    status, _ = verify(site, "--billed")
    asked = len(looks.chats(stage, "anthropic"))
    assert (status, asked) == (0, 2), f"ended with {status} after {asked} requests"  # the lanes routed and cloud
    stage.simulators.clear()
    stage.simulators.fault("lmstudio", "500", path="/v1/*")
    verify(site)
    leaked = len(looks.chats(stage, "anthropic"))
    stage.simulators.clear()
    assert leaked == 0, f"{leaked} requests went to the cloud"
    return {"requests with --billed": asked, "without, local server failing": leaked}


@drill.cell("billed-refused")
def billed_refused(stage: Stage) -> Figures:
    """--billed names a key that the provider refuses, and an account at its limit."""
    site = stage.converged()
    well_again(site)
    figures = {}
    for fault, symptom in (("401", "provider-refuses-key"), ("429", "rate-limit")):
        stage.simulators.fault("anthropic", fault)
        status, report = verify(site, "--billed")
        stage.simulators.clear()
        assert (status, symptoms(report)) == (1, {symptom}), f"with {fault} verify names {seen(report)}"
        figures[f"with {fault}"] = symptom
    well_again(site)
    return figures


@drill.cell("su")
def su(stage: Stage) -> Figures:
    """A shell that was reached with su, not by a login, is told by the user's own claude-doctor."""
    stage.converged()
    called = "runuser -u claude -- env -u XDG_RUNTIME_DIR claude-doctor --json; echo status $?"
    told, _, status = looks.answer(called, user="root").rpartition("status ")
    answer = json.loads(told)
    assert (int(status), symptoms(answer)) == (2, {"su-shell"}), seen(answer)
    status, answer = doctor("claude")
    assert (status, answer["findings"]) == (0, []), seen(answer)
    return {"named": "su-shell", "by a login": "nothing"}


@drill.cell("timer")
def timer(stage: Stage) -> Figures:
    """The user's timer looks by itself and tells the journal of changes alone: what is new, once, and what is over."""
    site = stage.converged()
    well_again(site)
    units = "systemctl --user --machine=claude@.host"
    waits = looks.answer(f"{units} show -p NextElapseUSecMonotonic --value claude-doctor.timer", user="root")
    assert waits not in ("", "infinity"), "the timer has no next time"

    def told() -> list[str]:
        """Return what one look of the unit, as the timer starts it, adds to the user's journal."""
        cursor = "journalctl --sync && journalctl -n0 --show-cursor | sed -n 's/^-- cursor: //p' > /run/drill-cursor"
        looks.answer(f"{cursor} && {units} start claude-doctor.service && journalctl --sync", user="root")
        lines = 'journalctl --after-cursor="$(cat /run/drill-cursor)" _SYSTEMD_USER_UNIT=claude-doctor.service -o cat'
        return [line for line in looks.answer(lines, user="root").splitlines() if not line.startswith("-- ")]

    told()  # whatever an earlier look has kept is over
    quiet = told()
    looks.answer("chmod 755 ~")
    new, same = told(), told()
    looks.answer("chmod 700 ~")
    over, after = told(), told()
    assert (quiet, same, after) == ([], [], []), (quiet, same, after)
    assert [line.partition(":")[0] for line in new] == ["home-open"], new
    assert [line.partition(": ")[2].partition(":")[0] for line in over] == ["home-open"], over
    assert over[0].startswith("over: "), over
    return {"new": new[0], "over": over[0], "told again": 0}


@drill.cell("failover")
def failover(stage: Stage) -> Figures:
    """--drill blocks the real way to the local server, sees the cloud answer, and gives the way back."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    status, report = verify(site, "--drill", "30")
    assert status == 0, seen(report)
    assert len(looks.chats(stage, "anthropic")) == 1
    assert _drills() == "", _drills()
    stage.simulators.fault("anthropic", "500")
    status, broken = verify(site, "--drill", "30")
    stage.simulators.clear()
    assert symptoms(broken) == {"failover"}, seen(broken)
    well_again(site)
    # Not drilled, and told so.
    looks.answer("chmod 755 ~")
    _, untold = verify(site, "--drill", "30")
    looks.answer("chmod 700 ~")
    assert (untold["drills"], bool(untold["undrilled"])) == ([], True), untold
    return {
        "seen": "; ".join(report["drills"]),
        "not well": untold["undrilled"],
        "control": "fails with the cloud failing",
    }


def _drills() -> str:
    """Return what drills have left on the host: a table of the packet filter, timers."""
    return looks.answer(
        "nft list tables | grep signalbox_drill; systemctl list-units --no-legend 'signalbox-drill-*'; true",
        user="root",
    )


@drill.cell("failover-killed")
def failover_killed(stage: Stage) -> Figures:
    """A drill that is killed in its midst: the timer lifts the block, and the local server answers again."""
    site = stage.converged()
    well_again(site)
    seconds = 15
    stage.simulators.fault("anthropic", "hang", path="/v1/messages")  # the drill waits for it
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("signalbox")), "verify", str(site.inventory()), "--drill", str(seconds)],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    blocked = "nft list table inet signalbox_drill | grep -c reject"
    try:
        assert wait_until(lambda: looks.answer(f"{blocked} 2>/dev/null || true", user="root") not in ("", "0"), 60, 0.2)
        started = time.monotonic()
        # The timer's name holds the id of the program that set it.
        looks.answer(
            "kill -9 $(systemctl list-units --no-legend 'signalbox-drill-*.timer' | grep -o '[0-9]*' | head -n1)",
            user="root",
        )
        running.wait(60)
        looks.answer(blocked, user="root")  # still there although the program is gone
        control = must_fail(
            lambda: looks.answer("nft list tables | { ! grep -q signalbox_drill; }", user="root"), "the block"
        )
        assert wait_until(lambda: _drills() == "", seconds + 5, 0.5), _drills()
        lifted = time.monotonic() - started
    finally:
        running.kill()
        running.wait()
        stage.simulators.clear()
    well_again(site)
    return {"the timer is set to": f"{seconds} s", "lifted after the kill": f"{lifted:.0f} s", "control": control}


@drill.cell("api-lane")
def api_lane(stage: Stage) -> Figures:
    """--billed asks the lane that goes to the API itself, too, with its own key; a key that is refused is named."""
    stage.converged()
    site = stage.site(settings={"lanes": {"api": {"enabled": True}}})
    site.deploy().ok()
    try:
        well_again(site)
        stage.simulators.clear()
        status, report = verify(site, "--billed")
        asked = looks.chats(stage, "anthropic")
        assert status == 0, seen(report)
        assert len(asked) == 3, f"{len(asked)} requests"  # the lanes routed and cloud through the gateway, and api
        looks.answer(
            "umask 077; printf sk-wrong | systemd-creds --user encrypt --name=ANTHROPIC_DIRECT_KEY -"
            " ~/.config/signalbox/ANTHROPIC_DIRECT_KEY.cred"
        )
        _, broken = verify(site, "--billed")
        assert symptoms(broken) == {"provider-refuses-key"}, seen(broken)
        assert all("the lane api" in each["seen"] for each in broken["findings"]), seen(broken)
    finally:
        stage.converged().deploy().ok()
    well_again(stage.converged())
    return {"requests with --billed": len(asked), "a wrong key": "provider-refuses-key"}


@drill.cell("kinds")
def kinds(stage: Stage) -> Figures:
    """A healthy host with each other kind of server: no finding, with an idle model or behind a token either."""
    stage.converged()
    figures = {}
    try:
        for kind, (server, model, token) in KINDS.items():
            stage.simulators.clear()
            site = _with(stage, kind)
            site.deploy().ok()
            if token:
                stage.simulators.options(server, require_authentication=True)
            if kind == "ollama":
                stage.simulators.options(server, loaded=None)
            well_again(site)
            figures[kind] = f"{model}: no finding"
            if kind == "llama_cpp":
                stage.simulators.options(server, context_length=8192)
                _, broken = verify(site)
                assert symptoms(broken) == {"context-small"}, seen(broken)
                figures["8192 tokens, behind a token"] = "context-small"
            elif kind == "vllm":
                stage.simulators.options(server, context_length=4096)
                _, broken = verify(site)
                assert symptoms(broken) == {"context-small"}, seen(broken)
    finally:
        stage.simulators.clear()
        stage.converged().deploy().ok()
    well_again(stage.converged())
    return figures


# kind: its simulated server, the model there, and the token that it wants
KINDS = {
    "ollama": ("ollama", "gemma4:26b-a4b", ""),
    "vllm": ("vllm", "devstral", ""),
    "llama_cpp": ("llamacpp", LlamaCpp.model, LlamaCpp.token),
    "openai_compatible": ("webui", "gemma4", OpenWebUI.token),
}


def _with(stage: Stage, kind: str) -> Site:
    """Return the host with a server of this kind in the place of LM Studio."""
    server, model, token = KINDS[kind]
    url = services.simulator(server) + ("/api" if kind == "openai_compatible" else "")
    box = {"kind": kind, "url": url, "models": {"local": {"id": model}}, "token": "DRILL_TOKEN" if token else None}
    direct = {"enabled": kind != "openai_compatible", "credential": "DRILL_TOKEN" if token else "none"}
    settings = {"backends": {"lmstudio": {"enabled": False}, "box": box}, "lanes": {"local-private": direct}}
    return stage.site(settings=settings, environment={"DRILL_TOKEN": token} if token else {})


@drill.cell("tls")
def tls(stage: Stage) -> Figures:
    """A model server whose certificate the host does not trust is named as that, and not as one that is off."""
    stage.converged()
    url = f"https://{Lab.current().ipv4(1)}:{REGISTRY_PORT}"  # it answers 404, and so is there
    several = {"kind": "openai_compatible", "url": url, "models": {"behind-tls": {"id": "any"}}}
    site = stage.site(settings={"backends": {"secure": several}})
    site.deploy().ok()
    try:
        well_again(site)
        looks.answer("mkdir -p /run/drill-no-ca && mount --bind /run/drill-no-ca /etc/ssl/certs", user="root")
        _, broken = verify(site)
        looks.answer("umount /etc/ssl/certs", user="root")
        assert symptoms(broken) == {"tls"}, seen(broken)
        well_again(site)
    finally:
        stage.converged().deploy().ok()
    well_again(stage.converged())
    return {"named": broken["findings"][0]["seen"], "trusted again": "well"}


@drill.cell("hostile-home")
def hostile_home(stage: Stage) -> Figures:
    """The agent leads its own directory into the system: root's --fix gives nothing away, and reads nothing forever."""
    site = stage.converged()
    well_again(site)
    looks.answer(
        "mv ~/.claude ~/.claude-kept; ln -s /etc ~/.claude; mv ~/.bashrc ~/.bashrc-kept; mkfifo ~/.bashrc; true"
    )
    try:
        started = time.monotonic()
        _, answer = doctor("root", "--fix")
        seconds = time.monotonic() - started
        told = seen(answer)
        _nothing_given()
        assert seconds < 60, f"{seconds:.0f} s"
    finally:
        # As root: a login of that user's would wait for somebody to write into its ~/.bashrc.
        looks.answer(
            "cd ~claude && rm -f .claude .bashrc; mv .claude-kept .claude; mv .bashrc-kept .bashrc; true", user="root"
        )
    looks.answer("touch /etc/drill && chown claude: /etc/drill", user="root")
    control = must_fail(_nothing_given, "a file of /etc given away")
    looks.answer("rm /etc/drill", user="root")
    well_again(site)
    return {"root's --fix": f"{seconds:.0f} s", "named": told[:200], "control": control}


def _nothing_given() -> None:
    given = looks.answer("find /etc /usr/local -xdev \\( -user claude -o -user litellm \\) -print", user="root")
    assert given == "", given


@drill.cell("outputs")
def outputs(stage: Stage) -> Figures:
    """`pyinfra INVENTORY verify.py`, the table and JUnit XML say the same as JSON, of a sound host and a broken one."""
    site = stage.converged()
    well_again(site)
    results = {}
    for name, command in (("sound", "chmod 700 ~"), ("broken", "chmod 755 ~")):
        looks.answer(command)
        ended = Running(site.inventory(), ["--dry"], {}, "verify.py").wait()
        table = site.signalbox("verify")
        file = Lab.current().state / f"verify-{name}.xml"
        site.signalbox("verify", "--junit", str(file))
        suite = ElementTree.parse(file).getroot().find("testsuite")  # noqa: S314 (our own)
        assert suite is not None
        results[name] = (ended.status, table.status, "home-open" in table.stdout, suite.get("failures"))
    looks.answer("chmod 700 ~")
    well_again(site)
    assert results == {"sound": (0, 0, False, "0"), "broken": (1, 1, True, "1")}, results
    return {"pyinfra's exit status, sound and broken": "0 and 1", "table": "names it", "JUnit": "1 failure"}
