"""The machine decides: arm64 gets its own archives, and a machine that cannot become a host is left as it is."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from signalbox.desired import addresses
from signalbox.settings import Settings
from tests.answers import answered, claimed
from tests.good_settings import layers
from tests.plan.simulated import Deploy, deploy

pytestmark = pytest.mark.slow


def machine(**different: object) -> dict[str, Any]:
    """Settings of a simulated host whose machine answers as a good one does, but for what is `different`."""
    answers = {"debian": "debian-13", "architecture": "amd64", "init": "systemd", "disk": 90000, "memory": 16000,
               "epoch": time.time(), "credentials": "yes", **different}  # fmt: skip
    told = answered(*(word for name, value in answers.items() for word in ("is", name, str(value))))
    return {
        "preflight": {"probe_timeout_seconds": 1},
        "fake_responses": {" epoch ": told, "/dev/tcp/": answered(*reachable())},
    }


def reachable() -> list[str]:
    """That every address answers which the good settings name."""
    settings = Settings.from_layers(layers(), host="box")
    return [*addresses.of_mirrors(settings), *addresses.of_backends(settings)]


def sent(seen: Deploy) -> str:
    return "\n".join(each["command"] for each in seen.sent)


def test_arm64_gets_the_archives_of_arm64() -> None:
    pinned = {"sha256": {"arm64": "a" * 64}}
    seen = sent(deploy({**machine(architecture="arm64"), "pins": {"mise": pinned, "node": pinned}}))
    assert "mise-v2026.9.15-linux-arm64.tar.gz" in seen
    assert "node-v22.23.3-linux-arm64.tar.gz" in seen
    assert "@anthropic-ai/claude-code-linux-arm64" in seen
    assert "linux-x64" not in seen


def test_a_host_that_is_reached_by_mdns_keeps_its_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy({**machine(), "ssh_hostname": "box.local"})
    told = " ".join(failed.value.stderr.split())
    assert "this deploy reaches the host as box.local, by mDNS, and the firewall would shut udp/5353" in told
    cure = 'Write firewall.open = {"udp/5353": ["lan"]} and firewall.shut = ["tcp/5355", "udp/5355"], or an address'
    assert cure in told
    told_so = {"open": {"udp/5353": ["lan"]}, "shut": ["tcp/5355", "udp/5355"]}
    deploy({**machine(), "ssh_hostname": "box.local", "firewall": told_so})


def test_amd64_gets_the_archives_of_x64() -> None:
    seen = sent(deploy(machine()))
    assert "node-v22.23.3-linux-x64.tar.gz" in seen
    assert "linux-arm64" not in seen


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({"debian": "debian-12"}, "this is debian-12; Signalbox deploys to Debian 13 (debian-13)"),
        ({"architecture": "i386"}, "the architecture is i386; Claude Code has binaries for amd64 and arm64"),
        ({"init": "runit"}, "process 1 is runit; services need systemd"),
        ({"uid": 1000}, "commands run as user 1000 there, not as root; set connection.sudo = True"),
        ({"disk": 100}, "100 MiB are free under /; preflight.min_disk_mib asks for 8192"),
        ({"memory": 512}, "memory is 512 MiB; preflight.min_memory_mib asks for 3072"),
        (
            {"credentials": "no"},
            "systemd encrypts no secrets here: /run/systemd/io.systemd.Credentials is missing; start"
            ' systemd-creds.socket, or write secrets.on_host = "plain"',
        ),
        ({"epoch": 1}, "s off from this machine's; TLS and tokens fail beyond preflight.max_clock_skew_seconds = 120"),
    ],
)
def test_a_machine_that_cannot_is_left_as_it_is(different: dict[str, object], said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(machine(**different))
    assert said in failed.value.stderr
    assert "No hosts remaining" in failed.value.stderr


def test_a_mirror_that_does_not_answer_stops_a_first_deploy_and_is_a_warning_later() -> None:
    data = machine()
    data["fake_responses"]["/dev/tcp/"] = []
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(data)
    assert "takes no connection from this host; check `mirrors`, DNS and its firewall" in failed.value.stderr
    there = machine(deployed="yes")
    there["fake_responses"]["/dev/tcp/"] = []
    assert "warning: " in deploy(there).stderr


def test_an_architecture_without_a_pin_fails_that_host() -> None:
    data = {**machine(architecture="arm64"), "pins": {"mise": {"sha256": {"arm64": "a" * 64}}}}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(data)
    assert "this host is arm64, and pins.node.sha256.arm64 is not set; run `signalbox pin`" in failed.value.stderr


def test_plain_secrets_need_no_encryption() -> None:
    seen = deploy({**machine(credentials="no"), "secrets": {"on_host": "plain"}})
    written = [each["command"] for each in seen.sent if "found-if-leaked" in each["stdin"]]
    assert ["/home/litellm/.config/signalbox/gateway/secrets/ANTHROPIC_DIRECT_KEY.key" in each for each in written] == [
        True
    ]
    assert "systemd-creds" not in sent(seen)


def test_plain_secrets_of_one_user_are_those_of_the_guide() -> None:
    seen = deploy({**machine(), "secrets": {"on_host": "plain"}, "gateway": {"user": None}})
    (file,) = [each for each in seen.sent if "claude-secrets.env" in each["command"] and each["stdin"]]
    assert "\nANTHROPIC_DIRECT_KEY=sk-ant-found-if-leaked\nLITELLM_MASTER_KEY=" in file["stdin"]


def test_a_key_that_would_bill_is_told_with_file_and_line() -> None:
    data = machine()
    data["fake_responses"]["names=ANTHROPIC_API_KEY"] = answered(claimed("ANTHROPIC_API_KEY 7 .bashrc\0"))
    told = "~/.bashrc, line 7, sets ANTHROPIC_API_KEY: Claude Code takes that without asking"
    assert told in deploy(data).stderr
    assert told not in deploy(machine()).stderr


def test_a_providers_key_in_clear_is_told_with_file_and_line() -> None:
    data = machine()
    answer = answered(claimed("ANTHROPIC_DIRECT_KEY 3 .config/claude-secrets.env\0"))
    data["fake_responses"]["names=ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_DIRECT_KEY"] = answer
    told = "~/.config/claude-secrets.env, line 3, holds ANTHROPIC_DIRECT_KEY, a provider's key, in clear"
    assert told in deploy(data).stderr
    for settings in (
        {"by_hand": {"files": [".config/claude-secrets.env"]}},  # gone after this run
        {"secrets": {"on_host": "plain"}, "gateway": {"user": None}},  # ours, as it is wanted
    ):
        assert told not in deploy({**data, **settings}).stderr


def test_a_new_gateway_key_needs_no_providers_secret() -> None:
    rotated = deploy(machine(), file="signalbox/commands/deploys/gateway_key.py", secrets={})
    assert any("the gateway has a new key" in name for name in rotated.names)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(machine(), secrets={})
    assert "secret ANTHROPIC_DIRECT_KEY is not set" in failed.value.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("93.184.215.14 STREAM\n", "is 93.184.215.14, which is on no network of this host's"),
        ("192.168.1.5 STREAM\n93.184.215.14 STREAM\n", "is 93.184.215.14, which"),
        ("192.168.1.5 STREAM\n100.64.1.2 STREAM\n", None),
        ("", None),
    ],
)
def test_a_backend_at_a_public_address_needs_a_payer(lines: str, said: str | None) -> None:
    (server,) = addresses.of_own(Settings.from_layers(layers(), host="box")).values()
    here = machine()
    here["fake_responses"][" getent ahosts "] = answered("name", server, lines)
    if said is None:
        deploy(here)
        return
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(here)
    assert said in failed.value.stderr
    assert f'write "payer": "the account at {server}" into backends.' in failed.value.stderr
