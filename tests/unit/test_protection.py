"""Networks, the firewall's rules and sshd's words, as pure functions of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.desired.addresses import of_backends, of_service_user
from signalbox.desired.firewall import accepting, contains, id_set, input_rules, open_ports, output_rules, resolved
from signalbox.desired.render import render
from signalbox.desired.sshd import CLASSIC, directives, overridden
from signalbox.settings import Settings
from signalbox.settings.sections.ssh import Ssh
from tests.good_settings import layers


def ssh(**values: Any) -> Ssh:
    admin = {"ssh_user": "admin", "connection": {"sudo": True}}
    return Settings.from_layers(layers(admin, {"ssh": values}), host="box").ssh


def test_lan_is_private_addresses_and_the_networks_of_the_host() -> None:
    found = resolved(["lan"], ["203.0.113.0/25", "2001:db8:1::/64"])
    for address in ("192.168.7.7", "10.1.2.3", "203.0.113.5", "2001:db8:1::5", "fe80::1", "fd00::1"):
        assert contains(found, address), address
    for address in ("203.0.113.200", "8.8.8.8", "2001:db8:2::5"):
        assert not contains(found, address), address


def test_any_is_every_address_and_nothing_is_none() -> None:
    assert resolved(["192.168.1.0/24", "any"], []) is None
    assert contains(None, "8.8.8.8")
    assert resolved([], ["192.168.1.0/24"]) == []
    assert accepting([], "tcp", [22]) == []


def test_an_address_needs_no_line_of_its_own_in_the_lan() -> None:
    assert resolved(["203.0.113.5"], []) == ["203.0.113.5/32"]
    assert resolved(["lan", "192.168.1.5"], []) == resolved(["lan"], [])


def test_rules_name_interfaces_ports_and_both_versions_of_ip() -> None:
    rules = input_rules(["192.168.1.0/24", "fd00::/8"], [22, 2222], ["wg0"], {"udp/51820": None, "tcp/80": []})
    assert rules == [
        'iifname { "wg0" } ip saddr { 192.168.1.0/24 } tcp dport { 22, 2222 } accept',
        'iifname { "wg0" } ip6 saddr { fd00::/8 } tcp dport { 22, 2222 } accept',
        "udp dport { 51820 } accept",
    ]


def test_what_is_sent_out_goes_to_networks_by_rule_and_to_names_by_lookup() -> None:
    needed = ("registry.npmjs.org:443", "192.168.1.20:1234", "[fd00::5]:8080")
    rules, lookups = output_rules(needed, {"tcp/443": ["github.com", "10.0.0.0/8"], "udp/123": ["any"]}, [])
    assert rules == [
        "ip daddr { 10.0.0.0/8 } tcp dport { 443 } accept",
        "ip daddr { 192.168.1.20/32 } tcp dport { 1234 } accept",
        "ip6 daddr { fd00::5/128 } tcp dport { 8080 } accept",
        "udp dport { 123 } accept",
    ]
    assert lookups == ["tcp 443 registry.npmjs.org", "tcp 443 github.com"]


def test_the_service_user_needs_mirrors_model_servers_and_enabled_clouds() -> None:
    settings = Settings.from_layers(layers({}), host="box")
    found = of_service_user(settings)
    assert "api.anthropic.com:443" in found
    assert "registry.npmjs.org:443" in found
    assert set(of_backends(settings)) <= set(found)
    assert not [each for each in found if "mistral" in each]


@pytest.mark.parametrize("root", ["key", "no"])
def test_what_sshd_makes_of_our_words_is_compared_as_it_says_them(root: str) -> None:
    values = directives(ssh(root_login=root), keys_only=True, unpunished=["192.168.0.0/16"])
    said = {keyword.lower(): value for keyword, value in values.items()}
    said["permitrootlogin"] = {"key": "without-password", "no": "no"}[root]
    if root == "no":
        assert values["PermitRootLogin"] == "no"
    assert overridden(values, said) == []
    assert overridden(values, {**said, "passwordauthentication": "yes"}) == ["PasswordAuthentication is yes, not no"]
    assert "MaxAuthTries is missing, not 3" in overridden(values, {})


def test_passwords_are_left_alone_until_a_key_has_opened() -> None:
    assert "PasswordAuthentication" not in directives(ssh(), keys_only=False, unpunished=[])


def test_one_classic_exchange_stays_for_the_deploy() -> None:
    kex = directives(ssh(), keys_only=True, unpunished=[])["KexAlgorithms"].split(",")
    assert kex[0].startswith("mlkem768")
    assert kex[-1] == CLASSIC
    assert sum("mlkem" not in each and "sntrup" not in each for each in kex) == 1


def test_open_ports_are_read_from_our_file_as_from_what_the_kernel_lists() -> None:
    networks = {"tcp/8080": None, "udp/51820": ["10.0.0.0/8", "fe80::/10"], "ip/112": ["10.0.0.0/8"]}
    rules = input_rules(["192.0.2.0/24"], [22, 2222], ["eth0"], networks)
    egress = {"senders": "{ 1000 }", "rules": ["tcp dport { 443 } accept"], "lookups": []}
    wanted = {"tcp/22", "tcp/2222", "tcp/8080", "udp/51820", "ip/112"}
    assert (
        set(open_ports(render("firewall/firewall.nft", table="signalbox", deploy=None, rules=rules, egress=egress)))
        == wanted
    )
    listed = """table inet signalbox {
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state vmap { invalid : drop, established : accept, related : accept }
		udp sport 67 udp dport 68 accept
		iifname "eth0" ip saddr 192.0.2.0/24 tcp dport { 22, 2222 } accept
		tcp dport 8080 accept
	}
}
"""
    assert open_ports(listed) == ["tcp/22", "tcp/2222", "tcp/8080"]
    assert open_ports("") == []


def test_ids_are_a_set_whose_ranges_do_not_meet() -> None:
    assert id_set([range(1000, 1001)]) == "{ 1000 }"
    found = id_set(
        [range(1000, 1001), range(165536, 231072), range(100000, 165536), range(200000, 200010), range(7, 7)]
    )
    assert found == "{ 1000, 100000-231071 }"


def test_nobody_else_is_held_by_the_egress_rules_and_no_packet_for_being_of_a_connection_alone() -> None:
    egress = {"senders": "{ 1000, 100000-165535 }", "rules": ["tcp dport { 443 } accept"], "lookups": []}
    chains = render("firewall/firewall.nft", table="signalbox", deploy=None, rules=[], egress=egress).split("chain ")
    (output,) = [each for each in chains if each.startswith("output ")]
    (sent,) = [each for each in chains if each.startswith("egress ")]
    jumps = [line.strip() for line in output.splitlines() if "jump" in line]
    assert jumps == [
        "meta skuid { 1000, 100000-165535 } jump egress",
        "meta skuid 65536-4294967294 socket cgroupv2 level 2 @sessions jump egress",
    ]
    accepted = [line.strip() for line in sent.splitlines() if line.strip().endswith("accept")]
    assert accepted[:3] == ['oifname "lo" accept', "ct direction reply accept", "tcp dport { 443 } accept"]
    assert all("@egress" in line for line in accepted[3:])
    assert [line for line in sent.splitlines() if "reject" in line][
        -1
    ].strip() == "counter reject with icmpx admin-prohibited"
