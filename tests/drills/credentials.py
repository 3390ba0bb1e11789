"""Keys on the host: where they lie, for whom they decrypt, and that none is left where it is not wanted any more."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.drills import looks
from tests.drills.deployment import Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import DOCKER, FOR_KEEPER, KEY, OUR_GATEWAY_KEY, THEIR_GATEWAY_KEY
from tests.lab import hosts, services
from tests.lab.simulators.journal import fingerprint
from tests.plan.test_secret_sources import OF_ALL, with_age, with_ansible_vault

drill = Drill(
    "credentials",
    "keys on the host, for their one reader",
    "Another user, and the same user on another host with a copied file, cannot decrypt. After a reboot the gateway "
    "starts with its keys without a login. Files made by real ansible-vault and real age are read and deployed. "
    "Changing one provider key replaces only what reads it. `secrets.on_host = plain`, and another `gateway.user`, "
    "on a converged host: it works, and nothing is left behind.",
)

OTHER = lab_host("other")
NAME = "ANTHROPIC_DIRECT_KEY"
MODEL = "claude-sonnet-4-6"  # a cloud's
WAIT_SECONDS = 180
BOTH = ("claude", looks.GATEWAY_USER)
# What may hold a key, or hands one out, wherever it was ever wanted.
LEFT = (
    f"cd / && find home/claude home/{looks.GATEWAY_USER} run/user"
    " \\( -path '*/share/docker' -o -path '*/gvfs' \\) -prune -o -type f"
    " \\( -name '*.cred' -o -name '*.key' -o -name claude-secrets.env -o -path '*/signalbox/*'"
    " -o -path '*/run/user/*/litellm/*' -o -name 'litellm.service' -o -name 'litellm.service.inputs' \\) -print"
)


def _held(user: str = looks.GATEWAY_USER) -> str:
    """Return the provider's key that the running gateway was started with."""
    newest = f"$(ls -td /run/user/$(id -u {user})/litellm/[0-9]* | head -n1)"
    return looks.answer(f"cat {newest}/secrets/{NAME}", user="root")


def _answers(stage: Stage, gateway_key: str = THEIR_GATEWAY_KEY) -> None:
    """AssertionError unless the gateway answers a question to a cloud, with the provider's key. Logs in as root alone.

    gateway_key: shell that prints the gateway's own key.
    """
    body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    looks.answer(
        f"printf 'Authorization: Bearer %s' \"$({gateway_key})\" | curl -fsS -m 60 -H @- -H 'content-type: application"
        f"/json' -d {looks.quoted(json.dumps(body))} http://127.0.0.1:4000/v1/messages",
        user="root",
    )
    seen = looks.chats(stage, "anthropic")[-1]
    assert seen["credential"] == fingerprint(services.environment()[NAME]), "the cloud was asked with another key"


def _nobody_logged_in() -> None:
    """AssertionError when one of the users has logged in: their managers then run for that, not by linger."""
    sessions = looks.answer("loginctl list-sessions --no-legend", user="root").splitlines()
    logins = [line for line in sessions if "user" in line.split() and set(BOTH) & set(line.split())]
    assert not logins, logins


def _settled(site: Site, what: str) -> None:
    """AssertionError unless a plan is clean and another deploy changes nothing."""
    planned = site.plan().ok().planned(HOST)
    assert not planned, f"{what}: the plan names {planned}"
    changed = site.deploy().ok().changed(HOST)
    assert not changed, f"{what}: a second run changed {changed}"


def _decrypts(user: str, host: str = HOST, name: str = NAME) -> str:
    """Return how the decryption of the copied file went."""
    ask = f"runuser -u {user} -- systemd-creds --user decrypt --name={name} /tmp/{NAME}.cred - > /dev/null"
    done = hosts.run(host, ask, check=False)
    return "decrypts" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def _copy(host: str) -> None:
    content = looks.answer(f"base64 -w0 < {KEY}", user="root")
    put = f"install -m 644 /dev/null /tmp/{NAME}.cred && echo {content} | base64 -d > /tmp/{NAME}.cred"
    looks.answer(put, host=host, user="root")


@drill.cell("other-user", fixed=True)
def other_user(stage: Stage) -> Figures:
    """A copied file decrypts for no other user of the host, and under no other name."""
    stage.converged()
    _copy(HOST)
    own = _decrypts(looks.GATEWAY_USER)
    assert own == "decrypts", f"control: its own user cannot decrypt the copy: {own}"
    seen = {"as claude": _decrypts("claude"), "under another name": _decrypts(looks.GATEWAY_USER, name="OTHER")}
    looks.answer(f"rm /tmp/{NAME}.cred", user="root")
    assert "decrypts" not in seen.values(), seen
    return {**seen, "control": "its own user, under its name: decrypts"}


@drill.cell("other-host")
def other_host(stage: Stage) -> Figures:
    """A copied file does not decrypt on another host, for a user with the same name and number."""
    stage.converged()
    stage.bare(OTHER)
    uid = looks.answer(f"id -u {looks.GATEWAY_USER}", user="root")
    looks.answer(f"useradd --uid {uid} {looks.GATEWAY_USER}", host=OTHER, user="root")
    own = f"echo x | {FOR_KEEPER} systemd-creds --user encrypt --name={NAME} - /tmp/own.cred"
    looks.answer(
        f"{own}; {FOR_KEEPER} systemd-creds --user decrypt --name={NAME} /tmp/own.cred", host=OTHER, user="root"
    )
    _copy(OTHER)
    seen = _decrypts(looks.GATEWAY_USER, OTHER)
    assert seen != "decrypts", "it decrypts on another host"
    stage.discard(OTHER)
    return {"same user, another host": seen, "control": "what that host has encrypted itself decrypts there"}


@drill.cell("reboot")
def reboot(stage: Stage) -> Figures:
    """After a reboot the gateway starts with its keys and answers for a cloud, with nobody logged in."""
    stage.converged()
    assert _held() == services.environment()[NAME]
    hosts.reboot(HOST)
    assert looks.gateway_within(WAIT_SECONDS), f"the gateway did not answer within {WAIT_SECONDS} s"
    looks.user_units()
    assert _held() == services.environment()[NAME], "the gateway was started with another key"
    _answers(stage)
    _nobody_logged_in()
    # Without the host's own secret nothing decrypts: then the gateway must not come up, and say why.
    host_key = "/var/lib/systemd/credential.secret"
    looks.answer(f"mv {host_key} /root/kept", user="root")
    try:
        hosts.reboot(HOST)
        words = f"journalctl --no-pager -o cat _UID=$(id -u {looks.GATEWAY_USER}) -b"
        looks.answer(f"for i in $(seq 300); do {words} | grep -q 'cannot be read' && exit; sleep 0.2; done; exit 1",
                     user="root")  # fmt: skip
        control = must_fail(looks.gateway, "the host's own secret gone")
    finally:
        looks.answer(f"mv /root/kept {host_key}", user="root")
        hosts.reboot(HOST)
    assert looks.gateway_within(WAIT_SECONDS), f"the gateway did not come back within {WAIT_SECONDS} s"
    looks.user_units()
    return {"after a reboot": "a cloud is asked with the provider's key; nobody has logged in", "control": control}


@drill.cell("provider-key")
def provider_key(stage: Stage) -> Figures:
    """A provider's key is changed: the plan names it and never shows it, and nothing but the gateway is replaced."""
    site = stage.converged()
    value = "sk-ant-marked-" + "7" * 24
    changed = stage.site()
    changed = Site(changed.hosts, changed.settings, environment={NAME: value})
    docker = f"systemctl --user --machine={looks.GATEWAY_USER}@.host show -p InvocationID --value docker.service"
    others = f"{docker}; systemctl --user --machine=claude@.host show -p InvocationID --value docker.service"
    containers = f"{DOCKER} ps -q --no-trunc"
    before, gateway = looks.answer(others, user="root"), looks.answer(containers, user="root")
    plan = changed.plan().ok()
    named = plan.planned(HOST)
    told = f"{plan.stdout}{plan.stderr}"
    assert any(NAME in name for name in named), named
    assert value not in told, "the plan shows the key"
    run = changed.deploy().ok()
    assert _held() == value
    assert looks.answer(others, user="root") == before, "Docker was restarted too"
    assert looks.answer(containers, user="root") != gateway, "control: the gateway was not replaced"
    assert value not in f"{run.stdout}{run.stderr}", "the deploy shows the key"
    site.deploy().ok()
    assert _held() == services.environment()[NAME]
    return {
        "named by the plan": "; ".join(named),
        "changed": "; ".join(run.changed(HOST)),
        "replaced": "the gateway alone",
    }


@drill.cell("real-files")
def real_files(stage: Stage) -> Figures:
    """Files that the real age and the real ansible-vault have encrypted are deployed."""
    stage.converged()
    figures = {}
    for made in (with_age, with_ansible_vault):
        with tempfile.TemporaryDirectory() as place:
            stage.site(settings={"secrets": made(Path(place))}).deploy().ok()
        assert _held() == OF_ALL, f"{made.__name__}: the gateway has another value"
        figures[made.__name__.removeprefix("with_")] = "the gateway runs with its value"
        looks.user_units()
    stage.site().deploy().ok()
    return figures


def _left(wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> list[str]:
    """Return the files that may hold a key; AssertionError unless they are such as are wanted."""
    files = looks.answer(LEFT, user="root").splitlines()
    for part in wanted:
        assert any(part in file for file in files), f"control: nothing like {part} is there: {files}"
    left = [file for file in files if any(part in file for part in unwanted)]
    assert not left, f"left behind: {left}"
    return files


# How a program of the service user's comes to its environment, and whether a person is at it.
SHELLS = {
    "bash, interactive": ("bash -ic env", True),
    "bash, login": ("bash -lic env", True),
    "zsh, interactive": ("zsh -ic env", True),
    "tmux": (
        "tmux -L drill -f /dev/null new-session -d; tmux -L drill send-keys"
        " 'env > ~/drill-env; tmux -L drill wait-for -S drill' Enter; tmux -L drill wait-for drill;"
        " cat ~/drill-env; rm ~/drill-env; tmux -L drill kill-server",
        True,
    ),
    "ssh command": ("env", False),
    "zsh, script": ("zsh -c env", False),
    "unit": ("systemd-run --user --quiet --wait --pipe env", False),
    "user manager": ("systemctl --user show-environment", False),
}
# The guide's file, loaded by every kind of shell and by the manager.
BY_HAND = f"""
install -m 600 /dev/null ~/.config/claude-secrets.env
read -r key; echo "{NAME}=$key" > ~/.config/claude-secrets.env
for file in .bashrc .zshenv; do
    cp -a ~/$file ~/kept$file
    sed -i '1i set -a; . ~/.config/claude-secrets.env; set +a' ~/$file
done
mkdir -p ~/.config/environment.d; ln -s ../claude-secrets.env ~/.config/environment.d/drill.conf
systemctl --user daemon-reload
"""
NOT_BY_HAND = (
    "mv kept.bashrc .bashrc; mv kept.zshenv .zshenv; rm .config/claude-secrets.env .config/environment.d/drill.conf;"
    " systemctl --user daemon-reload"
)


def _known(value: str) -> dict[str, bool]:
    """Return of each kind of shell whether the value is in its environment."""
    return {kind: value in looks.answer(f"{command} 2>/dev/null") for kind, (command, _) in SHELLS.items()}


@drill.cell("shells")
def shells(stage: Stage) -> Figures:
    """No shell, unit or manager of the service user has a provider's key; one that was left there by hand is told."""
    site = stage.converged()
    looks.have_shell("zsh")
    value = services.environment()[NAME]
    seen = _known(value)
    assert not any(seen.values()), f"the provider's key is in {seen}"
    gateway_key = _known(looks.answer(OUR_GATEWAY_KEY, user="root"))
    assert gateway_key == {kind: at_it for kind, (_, at_it) in SHELLS.items()}, f"the gateway's key: {gateway_key}"
    looks.answer("[ ! -e .config/claude-secrets.env ]")
    hosts.run(HOST, BY_HAND, user="claude", stdin=f"{value}\n")
    try:
        control = _known(value)
        assert all(control.values()), f"control: the key was put everywhere, and is seen in {control}"
        told = site.deploy().ok()
        assert value not in told.stdout + told.stderr
        line = f"~/.config/claude-secrets.env, line 1, holds {NAME}, a provider's key, in clear"
        assert line in told.stderr, f"the deploy does not tell: {told.stderr[-2000:]}"
        doctor = hosts.run(HOST, "claude-doctor", user="claude", check=False).stdout
        assert ".config/claude-secrets.env, line 1" in doctor, f"the doctor does not tell: {doctor[-2000:]}"
    finally:
        looks.answer(NOT_BY_HAND)
    assert line not in site.deploy().ok().stderr
    return {
        "provider's key in": f"none of {len(seen)}: {' / '.join(seen)}",
        "gateway's key in": " / ".join(kind for kind, known in gateway_key.items() if known),
        "left by hand": f"deploy and doctor say: {line}",
        "control": f"with that file the key is seen in each of {len(control)}",
    }


@drill.cell("plain")
def plain(stage: Stage) -> Figures:
    """secrets.on_host = plain and back: gateway and shells have their keys, and nothing of the other way is left."""
    site = stage.converged()
    values = services.environment()
    shell = "bash -ic 'printenv LITELLM_MASTER_KEY; echo; printenv {}' 2>/dev/null || true"
    figures: dict[str, object] = {}
    _left((".cred",), (".key", "claude-secrets.env"))
    for user in (looks.GATEWAY_USER, "claude"):
        of = stage.site(settings={"secrets": {"on_host": "plain"}, "gateway": {"user": user}})
        of.deploy().ok()
        assert _held(user) == values[NAME]
        key = f"cat /home/{user}/.config/signalbox/gateway/secrets/LITELLM_MASTER_KEY.key"
        _answers(stage, key)
        seen = looks.answer(shell.format(NAME)).split()
        gateway_key = looks.answer(key, user="root")
        wanted = [gateway_key, *([values[NAME]] if user == "claude" else [])]
        assert seen == wanted, f"shells of claude know {len(seen)} keys, {len(wanted)} were to be expected"
        files = _left(("claude-secrets.env", f"home/{user}/.config/signalbox/gateway/secrets/{NAME}.key"), (".cred",))
        modes = looks.answer("stat -c '%a' /home/*/.config/signalbox/*.key /home/*/.config/claude-secrets.env"
                             f" /home/{user}/.config/signalbox/gateway/secrets/*", user="root")  # fmt: skip
        assert set(modes.split()) == {"600"}, modes
        _settled(of, f"plain, gateway of {user}")
        figures[f"gateway of {user}"] = f"answers; shells of claude know {len(seen)} keys; {len(files)} files; settled"
    site.deploy().ok()
    _answers(stage)
    _left((".cred",), (".key", "claude-secrets.env", "home/claude/.config/signalbox/gateway/"))
    _settled(site, "credentials again")
    return {**figures, "back to credentials": "answers; nothing plain is left; settled"}


@drill.cell("switched")
def switched(stage: Stage) -> Figures:
    """gateway.user is changed on a converged host, to the agent's and back: it answers, and the other has nothing."""
    site = stage.converged()
    figures: dict[str, object] = {}
    ways = ((stage.site(settings={"gateway": {"user": None}}), "claude"), (site, looks.GATEWAY_USER))
    for of, user in ways:
        (other,) = set(BOTH) - {user}
        run = of.deploy().ok()
        key = THEIR_GATEWAY_KEY.replace(looks.GATEWAY_USER, user)
        _answers(stage, key)
        assert _held(user) == services.environment()[NAME]
        own = (f"home/{user}/.config/signalbox/gateway/secrets/{NAME}.cred", f"home/{user}/.config/systemd")
        _left(own, (f"home/{other}/.config/signalbox/gateway/", f"home/{other}/.config/systemd/user/litellm"))
        runtime = f"ls /run/user/$(id -u {other}) 2>/dev/null | grep litellm || true"
        assert not looks.answer(runtime, user="root"), "something of the gateway is left at run time"
        if other == looks.GATEWAY_USER:
            idle = f"pgrep -u {other} -l || true; ls /var/lib/systemd/linger | grep -x {other} || true"
            running = looks.answer(idle, user="root")
            assert not running, f"{other} still runs {running}"
        owner = looks.answer("stat -c %U /var/lib/signalbox/audit/requests.jsonl", user="root")
        assert owner == user, f"the audit is {owner}'s"
        _settled(of, f"gateway of {user}")
        figures[f"to {user}"] = (
            f"{len(run.changed(HOST))} changes in {run.seconds:.0f} s; answers; nothing left; settled"
        )
    return figures
