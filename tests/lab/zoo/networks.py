"""Networks, names, and what listens on them."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State

_NFT = "nft list chain inet signalbox input"

STATES = (
    State(
        "tailnet",
        "a tailnet's device, with one address of 100.64.0.0/10 and its routes in a table of its own",
        "https://github.com/tailscale/tailscale/issues/4668",
        "ip tuntap add dev tailscale0 mode tun && ip address add 100.101.102.103/32 dev tailscale0"
        " && ip link set tailscale0 up && ip route add 100.64.0.0/10 dev tailscale0 table 52"
        " && ip rule add pref 5270 lookup 52",
        proves=f"{_NFT} | grep -q 'ip saddr .*100.64.0.0/10.* tcp dport 22 accept'"
        " && fail2ban-client get sshd ignoreip | grep -q 100.64.0.0/10",
    ),
    State(
        "public-subnet",
        "a VPS is in a public network with 4096 addresses, which it shares with strangers",
        UNREPORTED,
        "ip link add public0 type dummy && ip address add 45.77.1.2/20 dev public0 && ip link set public0 up",
        proves=f"! {_NFT} | grep -F 45.77. && ! fail2ban-client get sshd ignoreip | grep -F 45.77."
        " && ! grep -rF 45.77. /etc/ssh/sshd_config.d",
    ),
    State(
        "cgnat",
        "the provider gives an address of 100.64.0.0/10, which its customers share",
        "https://github.com/tailscale/tailscale/issues/12555",
        "ip link add wan0 type dummy && ip address add 100.70.1.2/16 dev wan0 && ip link set wan0 up",
        proves=f"! {_NFT} | grep -F 100.",
    ),
    State(
        "avahi",
        "avahi tells the host's name to the network, and the inventory may reach it as NAME.local",
        UNREPORTED,
        "apt-get -q update && apt-get -yq install avahi-daemon",
        "warned",
        ("the firewall shuts udp/5353 (avahi-daemon of avahi-daemon.service, user avahi), as the settings say",),
    ),
    State(
        "no-ipv6",
        "IPv6 is off",
        UNREPORTED,
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
    ),
    State(
        "iptables-rules",
        "rules of iptables drop what comes in, but for SSH and answers",
        UNREPORTED,
        "apt-get -q update && apt-get -yq install iptables && iptables -A INPUT -m conntrack --ctstate"
        " ESTABLISHED,RELATED -j ACCEPT && iptables -A INPUT -i lo -j ACCEPT && iptables -A INPUT -p tcp --dport 22 -j"
        " ACCEPT && iptables -P INPUT DROP",
        proves="iptables -S INPUT | grep -q 'P INPUT DROP'",
    ),
    State(
        "web-server",
        "a web server answers on port 80",
        UNREPORTED,
        "systemd-run --unit=web --quiet python3 -m http.server 80 && sleep 1",
        "refused",
        ("tcp/80 (python3 of web.service)",),
        told={"firewall": {"open": {"tcp/80": ["lan"]}}},
        proves="curl -fs http://127.0.0.1/ >/dev/null",
    ),
)
