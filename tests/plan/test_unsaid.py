"""What a deploy would shut, stop or leave in the way is named before, and needs the settings' word."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from signalbox.desired.firewall import RULES
from signalbox.settings.layers import merge
from signalbox.shell.manifest import Entry
from signalbox.shell.removal import removal
from tests.answers import answered, claimed
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_leftovers import manifest, recorded

pytestmark = pytest.mark.slow

WEB = ("socket", "tcp", "00000000:0050", "root", "nginx of nginx.service", "process")
SHARES = ("socket", "tcp", "00000000:01BD", "root", "smbd of smbd.service", "process")
LISTENING = {"fake_responses": {"ip_local_port_range": answered("range", "32768", "60999", *WEB, *SHARES)}}
RUNNING = {
    "fake_responses": {
        "containerd-shim": answered(
            "unit", "docker.service", "unit", "containerd.service",
            "container", "moby", "a" * 64, "names", f"{'a' * 64} web\n",
        )
    }
}  # fmt: skip
SAID = {"firewall": {"open": {"tcp/80": ["lan"]}, "shut": ["tcp/445"]}}
SKILL = "/home/claude/.claude/skills/cloud-escalator"


def refused(data: dict[str, Any]) -> str:
    """Return what a deploy says that ends before it has changed anything."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        deploy(data)
    assert "No hosts remaining" in failed.value.stderr
    return str(failed.value.stderr)


def commands(seen: Deploy) -> str:
    return "\n".join(each["command"] for each in seen.sent)


def test_a_first_deploy_shuts_no_service_unsaid() -> None:
    told = refused(LISTENING)
    assert "the firewall would shut tcp/80 (nginx of nginx.service), tcp/445 (smbd of smbd.service)" in told
    assert 'firewall.shut = ["tcp/80", "tcp/445"]' in told


def test_with_the_settings_word_it_is_told_and_done() -> None:
    seen = deploy(merge(LISTENING, SAID))
    assert "the firewall shuts tcp/445 (smbd of smbd.service), as the settings say" in seen.stderr
    assert "tcp/80 (nginx" not in seen.stderr
    assert "Firewall | the firewall is as the settings say, and logins are proven" in seen.names


CAME = {
    "fake_responses": {
        "-t sshd-session": answered("Accepted publickey for root from 203.0.113.7 port 4022 ssh2: ED25519 SHA256:x\n")
    }
}


def test_who_came_by_ssh_lately_is_not_shut_out_unsaid() -> None:
    told = refused(CAME)
    assert "the firewall would shut out logins of root from 203.0.113.7, which came in the last 30 days" in told
    assert 'firewall.shut = ["203.0.113.7"]' in told
    for said in ({"shut": ["203.0.113.0/24"]}, {"ssh_from": ["lan", "203.0.113.7"]}, {"ssh_from": ["any"]}):
        seen = deploy(merge(CAME, {"firewall": said}))
        assert ("the firewall shuts out logins of root from 203.0.113.7" in seen.stderr) == ("shut" in said)


ROOT = ("203.0.113.7", "192.168.1.9")


@pytest.mark.parametrize(
    ("in_sent", "in_heard", "told"),
    [
        # An address of the lan, by an interface that the rules do not let in; and one that comes through all the same.
        (ROOT, ("203.0.113.7",), "would shut out logins of root from 192.168.1.9,"),
        (ROOT, (), "would shut out logins of root from 203.0.113.7; logins of root from 192.168.1.9,"),
        ((), (), "would shut out logins of root from 203.0.113.7,"),  # not tried: compared
    ],
)
def test_who_came_lately_is_tried_as_packets_against_the_new_rules(
    in_sent: tuple[str, ...], in_heard: tuple[str, ...], told: str
) -> None:
    sets = "".join(
        f"set {name}4 {{\n\telements = {{ {', '.join(each)} }}\n}}\n"
        for name, each in (("heard", in_heard), ("sent", in_sent))
        if each
    )
    came = "".join(f"Accepted publickey for root from {each} port 4022 ssh2: ED25519 SHA256:x\n" for each in ROOT)
    said = refused({"fake_responses": {"-t sshd-session": answered(came), "/dev/net/tun": answered(sets)}})
    assert told in said
    assert ("were not tried as packets" in said) == (not in_sent)


def test_a_vpns_datagrams_of_before_do_not_pass_for_answers_at_a_first_deploy() -> None:
    session = answered("203.0.113.7 50000 192.168.1.10 22")
    vpn = ("socket", "udp", "00000000:CA6C", "root", "vpn of vpn.service", "process")  # from the range of clients
    came = {"ip_local_port_range": answered("range", "32768", "60999", *vpn), "SSH_CONNECTION": session}

    def trial(**more: Any) -> str:
        sent = deploy(merge({"fake_responses": came}, more)).sent
        (rules,) = {each["stdin"] for each in sent if "table inet signalbox_trial {" in each["stdin"]}
        return rules

    doubt = "udp dport { 51820 } drop"
    assert doubt in trial().split("ct direction reply accept")[0]
    assert doubt not in trial(firewall={"open": {"udp/51820": ["any"]}})


VRRP = ("socket", "raw", "00000000:0070", "root", "keepalived of keepalived.service", "process")
ROUTED = {"fake_responses": {"ip_local_port_range": answered("range", "32768", "60999", *VRRP)}}


def test_protocols_without_ports_are_named_and_let_in_by_their_number() -> None:
    assert "the firewall would shut ip/112 (keepalived of keepalived.service)" in refused(ROUTED)
    seen = deploy(merge(ROUTED, {"firewall": {"open": {"ip/112": ["192.168.1.0/24"]}}}))
    rules = [each["stdin"] for each in seen.sent if "meta l4proto" in each["stdin"]]
    assert any("ip saddr { 192.168.1.0/24 } meta l4proto { 112 } accept" in each for each in rules)


def test_a_host_with_our_rules_is_not_asked_again() -> None:
    entry = Entry("file", RULES, "0" * 64)
    ours = {"fake_responses": {f"hash root {RULES}": answered("kind", "file", "entry", RULES, entry.to_json())}}
    seen = deploy(merge(LISTENING, ours))
    assert "the firewall shuts" not in seen.stderr
    assert "ip_local_port_range" not in commands(seen)


def test_without_the_firewall_nobody_is_shut_out() -> None:
    assert "ip_local_port_range" not in commands(deploy(merge(LISTENING, {"firewall": {"enabled": False}})))


# ---- root's Docker ----


def test_running_containers_are_not_stopped_unsaid() -> None:
    told = refused(RUNNING)
    assert "root's Docker would be stopped, and containers run in it: web; nothing was changed" in told


def test_with_the_settings_word_they_are_stopped_and_known() -> None:
    seen = deploy(merge(RUNNING, {"rootless_docker": {"replaces_root": True}}))
    assert "systemctl stop docker.service containerd.service" in commands(seen)
    assert ("stopped", "docker.service") in recorded(seen)


def test_a_removal_starts_them_again() -> None:
    entries = [Entry("stopped", "docker.service", "web records"), Entry("link", "/etc/systemd/system/docker.service")]
    *_, link, started, _ = [step for step in removal(entries) if "docker.service" in step]
    assert "rm -f /etc/systemd/system/docker.service" in link
    assert "systemctl start docker.service" in started
    assert "docker -H unix:///run/docker.sock start web records" in started


# ---- a person's own ----


def test_a_persons_jails_keep_their_own_limits_and_see_their_logs() -> None:
    placed = {each["command"].split("cat > ")[1].split(" ")[0]: each["stdin"] for each in deploy().sent
              if "cat > /etc/" in each["command"]}  # fmt: skip
    jail = placed["/etc/fail2ban/jail.d/signalbox.local.signalbox-new"]
    assert re.findall(r"^\[.*\]$", jail, re.MULTILINE) == ["[sshd]"]
    assert "/etc/fail2ban/action.d/signalbox-nftables.conf.signalbox-new" in placed
    sandbox = placed["/etc/systemd/system/fail2ban.service.d/50-signalbox.conf.signalbox-new"]
    assert re.findall(r"^ProtectHome=(.*)$", sandbox, re.MULTILINE) == ["read-only"]


def test_a_later_file_that_makes_a_name_untrue_is_named_and_left() -> None:
    later = "APT::Periodic::Unattended-Upgrade"
    told = answered("value", "Unattended-Upgrade", "0", "said", "apt.conf.d/99their:Unattended-Upgrade\n", "timers",
                    "masked\nenabled\n")  # fmt: skip
    sent = commands(deploy({"fake_responses": {later: told}}))
    assert "/etc/apt/apt.conf.d/99their makes Unattended-Upgrade 0" in sent
    assert "apt-daily.timer masked" in sent
    assert "99their makes" not in commands(deploy())


def test_a_skill_of_the_same_name_stays() -> None:
    there = answered("kind", "link", "at", SKILL, "d", "755", "claude", "claude", "", "d", "9", "1-1")
    seen = deploy({"fake_responses": {f"stat claude {SKILL}": there}})
    assert f"{SKILL} is a skill of claude's own: it stays" in seen.stderr
    assert f"{SKILL}.signalbox-new" not in commands(seen)
    assert f"{SKILL}.signalbox-new" in commands(deploy())


def test_of_a_renamed_user_it_is_told_what_stops_and_what_stays() -> None:
    answers = manifest(Entry("linger", "agent"), Entry("directory", "/home/agent/.claude"))
    answers["fake_responses"]["list-units"] = answered(claimed("bot.service\nliar \x1b[0m\n"))
    seen = deploy(answers)
    assert "agent is a user of earlier settings: it stays, with its home" in seen.stderr
    assert "what runs as it stops: bot.service" in seen.stderr
    assert "liar" not in seen.stderr


SHOWN = "Id={}\nActiveState={}\nUnitFileState=enabled\nLoadState=loaded\nNeedDaemonReload=no\n"


@pytest.mark.parametrize(("state", "planned"), [("active", 1), ("inactive", 0)])
def test_a_unit_whose_file_is_placed_before_it_is_read_again_and_that_is_planned(state: str, planned: int) -> None:
    shown = {
        "systemctl show fail2ban.service nftables.service": answered(SHOWN.format("nftables.service", state)),
        "systemctl --user show claude-doctor.timer": answered(claimed(SHOWN.format("claude-doctor.timer", "active"))),
    }
    run = deploy({"fake_responses": shown}, "--dry")
    named = [each["name"] for each in json.loads(run.stdout)["plan"] if each["hosts_with_change"]]
    assert named.count("Firewall | Debian's own is known with that") == planned
    assert "Doctor | claude: claude-doctor.timer is enabled and runs" in named
