"""`signalbox adopt`: hosts that somebody has set up by the first guide, by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from signalbox.init.files import literals
from tests.drills import looks
from tests.drills.deployment import LIMIT_SECONDS
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.init import network, person_at
from tests.drills.person import environment
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.upgrade import OLD
from tests.lab import hosts, services

drill = Drill(
    "adopt",
    "a host that was set up by hand is taken over, and nothing of it is lost",
    "A host set up by hand by the steps of the first guide (scripted in the lab, both cloud options): adopt, plan, "
    "deploy, verify; what was there keeps working, nothing is lost.",
)

HAND = lab_host("hand")
SETUP = Path(__file__).parents[1] / "lab" / "by_hand" / "setup.sh"
_SET_ASIDE = "By hand"
HOME = "/home/claude"


def by_hand(stage: Stage, cloud: str) -> None:
    """Have a host as the guide leaves it; its gateway answers."""
    stage.bare(HAND)
    lab, secrets = services.lab_settings(), services.environment()
    mise, node = lab["pins"]["mise"]["version"], lab["pins"]["node"]["version"]
    for number, path in enumerate(lab["extra_ca_certificates"]):
        hosts.run(HAND, f"cat > /usr/local/share/ca-certificates/lab{number}.crt", stdin=Path(path).read_text())
    hosts.run(HAND, "update-ca-certificates 2>&1")
    hosts.run(HAND, "cat > /root/setup.sh", stdin=SETUP.read_text())
    words = [
        cloud, lab["backends"]["lmstudio"]["url"], lab["clouds"]["anthropic"]["url"], services.simulator("foundry"),
        f"{lab['mirrors']['litellm']}@{lab['pins']['litellm']['digest']}",
        f"{lab['mirrors']['mise']}/v{mise}/mise-v{mise}-linux-x64.tar.gz", lab["mirrors"]["node"], node,
        OLD["claude_code"],
    ]  # fmt: skip
    keys = f"{secrets['ANTHROPIC_DIRECT_KEY']}\n{secrets['FOUNDRY_API_KEY']}\n"
    hosts.run(HAND, f"sh /root/setup.sh {' '.join(words)}", stdin=keys, timeout=600)


def adopt(project: Path, home: Path, host: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Take over this host with all answers given."""
    answers = {**network(), "host": hosts.address(host), "fingerprint": "yes"}
    answers.pop("api_url")
    (home / "answers.yaml").write_text(yaml.safe_dump(answers))
    return _signalbox(project, home, "adopt", "--yes", "--answers", str(home / "answers.yaml"), *more)


def _signalbox(project: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from signalbox.commands.cli import main; main()", *words],
        cwd=project, env=environment(home), capture_output=True, text=True, check=False,
        timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def pyinfra(project: Path, home: Path, deploy: str) -> str:
    """Run a deploy file of that project, and return what it told; AssertionError unless all went well."""
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "inventory.py", deploy, "-y"],
        cwd=project, env=environment(home), capture_output=True, text=True, check=False,
        timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _taken_over(stage: Stage, cloud: str, lane: str, model: str) -> Figures:
    """Adopt, plan, deploy, verify; what was there is there, and works."""
    by_hand(stage, cloud)
    before = {path: looks.answer(f"sha256sum < {path}", host=HAND) for path in KEPT}
    shells, keys = looks.answer("cat .bashrc", host=HAND), looks.answer("cat .config/claude-secrets.env", host=HAND)
    with person_at(key=True) as (project, home):
        adopted = adopt(project, home, HAND, "--json")
        assert adopted.returncode == 2, adopted.stdout[-1500:] + adopted.stderr[-3000:]
        (planned,) = json.loads(adopted.stdout)["plan"]["hosts"]
        aside = [change["operation"] for change in planned["changes"] if change["task"] == _SET_ASIDE]
        assert len(aside) == 3, aside
        said = adopted.stdout + adopted.stderr
        for word in ("ports 8080", "in the group sudo", "not taken over: gpt (openai/gpt-5)", "npm uninstall"):
            assert word in said, f"not told: {word}: {adopted.stderr[-2000:]}"
        group = literals(project / "group_data" / "claude_hosts.py")
        assert group["gateway"]["fallbacks"] == {"local": ["claude-haiku-4-5"]}, group
        assert group["lanes"]["routed"]["effort"] == "medium", group
        assert not [value for value in services.environment().values() if value in said], "a key was shown"
        untouched = {path: looks.answer(f"sha256sum < {path}", host=HAND) for path in KEPT}
        assert untouched == before
        assert looks.answer("cat .bashrc", host=HAND) == shells, "adopt itself changed the host"
        pyinfra(project, home, "deploy.py")
        # What the guide gives and adopt tells: the agent may become root, and npm's claude is first at a prompt.
        assert _found(project, home) == (1, ["other-claude", "sudo-given"])
        # The person does what was told; npm is still the one that is found there.
        looks.answer("bash -ic 'npm uninstall --global @anthropic-ai/claude-code' 2>/dev/null", host=HAND)
        assert _found(project, home) == (2, ["sudo-given"])
        clean = _signalbox(project, home, "plan")
        assert clean.returncode == 0, clean.stdout[-2000:]

    def nothing_is_lost() -> None:
        there = {path: looks.answer(f"sha256sum < {path}", host=HAND) for path in KEPT}
        assert there == before, "a file of the person's was changed"
        kept = looks.answer("cat .bashrc.before-signalbox", host=HAND)
        assert [line for line in kept.splitlines() if "signalbox" not in line] == shells.splitlines()
        originals = looks.answer("tar -xOf /var/lib/signalbox/originals/*claude-secrets.env*", host=HAND, user="root")
        assert originals == keys, "the file of keys is not kept"
        assert "litellm" in looks.answer(f"{DOCKER} docker ps -a --format '{{{{.Names}}}}'", host=HAND)
        with urllib.request.urlopen(f"http://{hosts.address(HAND)}:8080/", timeout=20) as answer:
            assert answer.status == 200, "the person's own container is not reached"

    nothing_is_lost()
    told = looks.answer(f"{lane} -p 'say hello'", host=HAND)
    assert '"effortLevel": "medium"' in looks.answer("cat .claude-routed/settings.json", host=HAND)
    by_old_name = looks.answer(f"{lane} --model {model} -p 'say hello'", host=HAND)
    assert told.startswith("Hello from simulated"), told
    assert by_old_name == told, f"{by_old_name}, not {told}"
    assert looks.answer("claude-local -p 'say hello'", host=HAND).endswith("(qwen/qwen3.6-35b-a3b).")
    assert "mine" in looks.answer("bash -ic mine 2>/dev/null", host=HAND)
    looks.answer("mv work/kept.txt work/moved.txt", host=HAND)
    control = must_fail(nothing_is_lost, "a file of the person's moved away")
    return {
        "set aside": len(aside),
        "told": "a port, the group sudo, a model that has no place, npm's claude",
        "plan": f"{len(planned['changes'])} changes, then clean",
        "verify": "other-claude, sudo-given; npm's claude uninstalled: sudo-given alone",
        lane: told,
        f"by the guide's name {model}": "the same",
        "kept": "files, keys, shell files, settings, conversations, both containers, a port for others",
        "control": control,
    }


def _found(project: Path, home: Path) -> tuple[int, list[str]]:
    """Return the exit status of verify, and what it finds."""
    verified = _signalbox(project, home, "verify", "--json")
    (report,) = json.loads(verified.stdout)["hosts"]
    return verified.returncode, sorted(each["symptom"] for each in report["findings"])


KEPT = (
    "work/kept.txt",
    ".claude/CLAUDE.md",
    ".claude-routed/projects/kept.jsonl",
    "litellm/config.yaml",
    ".bash_logout",
)
DOCKER = "DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock"


@contextmanager
def _by_hand_beside(project: Path, home: Path) -> Iterator[str]:
    """Give the shared host what somebody has by hand; the refusal without it."""
    lab, secrets = services.lab_settings(), services.environment()
    config = {
        "model_list": [
            _model("local", "lm_studio/qwen/qwen3.6-35b-a3b", f"{lab['backends']['lmstudio']['url']}/v1", "LMSTUDIO"),
            _model("claude-sonnet", "anthropic/claude-sonnet-4-6", lab["clouds"]["anthropic"]["url"], "CLAUDE_KEY"),
        ]
    }
    refused = must_fail(lambda: _adopted(project, home), "no configuration of LiteLLM there")
    looks.answer("mkdir -p litellm && cp .bashrc bashrc.kept", host=HOST)
    try:
        hosts.run(HOST, "cat > litellm/config.yaml", user="claude", stdin=yaml.safe_dump(config))
        key = f"CLAUDE_KEY={secrets['ANTHROPIC_DIRECT_KEY']}\nLMSTUDIO=none\nLITELLM_MASTER_KEY=sk-old\n"
        hosts.run(HOST, "umask 077; cat > .config/claude-secrets.env", user="claude", stdin=key)
        hosts.run(HOST, "cat >> .bashrc", user="claude", stdin="claude-routed() {\n  claude\n}\n")
        yield refused
    finally:
        looks.answer("mv bashrc.kept .bashrc; rm -r litellm .config/claude-secrets.env", host=HOST)


@drill.cell("settings", fixed=True)
def settings(stage: Stage) -> Figures:
    """What a converged host has by hand beside it becomes settings, vault and a plan; without it adopt refuses."""
    stage.converged()
    secrets = services.environment()
    with person_at(key=True) as (project, home), _by_hand_beside(project, home) as refused:
        changes = _adopted(project, home)
        group = literals(project / "group_data" / "claude_hosts.py")
        ((_, beside),) = literals(project / "inventory.py")["claude_hosts"]
        assert beside["by_hand"] == {"files": [".config/claude-secrets.env"], "functions": ["claude-routed"]}, beside
        assert group["backends"]["lmstudio"]["models"]["local"]["id"] == "qwen/qwen3.6-35b-a3b"
        vault = (project / "secrets" / "all.yml").read_text()
        assert "ANTHROPIC_DIRECT_KEY" in vault
        assert secrets["ANTHROPIC_DIRECT_KEY"] not in vault
        assert "sk-old" not in vault
    return {"plan": ", ".join(changes), "without it": refused}


# What listens on all addresses by its own name for itself, which a line of `ss` would repeat as it is.
_POSES = """
import socket, sys, time
with open("/proc/self/comm", "w") as file:
    file.write(sys.argv[2])
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
time.sleep(300)
"""
_FORGED = "x\n0 1 0 :9999 x"  # a line of its own


@drill.cell("listeners")
def listeners(stage: Stage) -> Figures:
    """sshd's ports are those of root's sshd; what the agent calls sshd is not, nor an sshd that it runs itself."""
    stage.converged()
    hosts.run(HOST, "cat > poses.py", user="claude", stdin=_POSES)
    own = "ssh-keygen -q -t ed25519 -N '' -f ~/hostkey && exec /usr/sbin/sshd -D -f /dev/null -h ~/hostkey -p 2223"
    units = {
        "drill-poses": f"--uid=claude python3 {HOME}/poses.py 2222 sshd",
        "drill-forges": f"--uid=claude python3 {HOME}/poses.py 2225 {looks.quoted(_FORGED)}",
        "drill-own": f"--uid=claude --setenv=HOME={HOME} sh -c {looks.quoted(own)}",
        "drill-second": "/usr/sbin/sshd -D -p 2224",
    }
    looks.answer(f"rm -f {HOME}/hostkey*", user="root")
    try:
        for unit, words in units.items():
            looks.answer(f"systemd-run --quiet --collect --unit={unit} {words}", user="root")
        ports = "2222 2223 2224 2225"
        wait = f'for port in {ports}; do timeout 20 sh -c "until ss -Hltn | grep -q :$port; do sleep 0.2; done"; done'
        looks.answer(wait, user="root")
        told = looks.answer("ss -Hltnp", user="root")
        named = sorted(set(re.findall(r":(222\d) .*\(\(\"sshd\"", told)))
        assert named == ["2222", "2223", "2224"], f"control: by name, sshd listens on {named}: {told}"
        with person_at(key=True) as (project, home), _by_hand_beside(project, home):
            done = adopt(project, home, HOST, "--json")
            assert done.returncode == 2, f"{done.returncode}: {done.stderr[-1500:]}"
            ((_, beside),) = literals(project / "inventory.py")["claude_hosts"]
    finally:
        looks.answer(f"systemctl stop {' '.join(units)}; rm -f {HOME}/hostkey* {HOME}/poses.py", user="root")
    firewall = beside["firewall"]
    assert firewall["ssh_ports"] == [22, 2224], firewall
    assert firewall["open"] == {f"tcp/{port}": ["lan"] for port in (2222, 2223, 2225)}, firewall
    said = " ".join((done.stdout + done.stderr).split())
    for words in ("claude itself listens on 2222, 2223, 2225", "sshd listens on 22, 2224"):
        assert words in said, f"not told: {words}: {done.stderr[-2000:]}"
    return {"by name": f"sshd on {', '.join(named)}", "taken over": "ssh_ports 22, 2224; the agent's own are told"}


def _adopted(project: Path, home: Path) -> list[str]:
    """Adopt the shared host and return what its plan would set aside."""
    done = adopt(project, home, HOST, "--json")
    assert done.returncode == 2, f"{done.returncode}: {done.stderr[-1500:]}"
    (planned,) = json.loads(done.stdout)["plan"]["hosts"]
    found = [change["operation"] for change in planned["changes"] if change["task"] == _SET_ASIDE]
    assert len(found) == 2, found
    return found


def _model(name: str, model: str, base: str, key: str) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": f"os.environ/{key}"}}


@drill.cell("option-a")
def option_a(stage: Stage) -> Figures:
    """The guide with Azure AI Foundry."""
    return _taken_over(stage, "foundry", "claude-routed", "foundry-sonnet")


@drill.cell("option-b")
def option_b(stage: Stage) -> Figures:
    """The guide with the Claude API."""
    return _taken_over(stage, "anthropic", "claude-routed", "claude-sonnet")
