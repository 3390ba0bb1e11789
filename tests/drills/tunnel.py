"""The only way in is a tunnel that ends on the host: what would shut it once nobody remembers it is taken back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import Stage, lab_host
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import sh, wait_until

BEHIND = lab_host("behind")
PROGRAM = Path(__file__).parents[1] / "lab" / "tunnel.py"
DEVICE, PORT = "their-vpn", 51820
INSIDE, OUTSIDE = "198.19.254.1", "198.19.254.2"  # the tunnel's two ends, RFC 2544
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -I /usr/local/lib/{DEVICE}.py {DEVICE} {PORT}
ExecStartPost=/bin/sh -c 'until ip address add {INSIDE} peer {OUTSIDE} dev {DEVICE}; do sleep 0.1; done'
ExecStartPost=/usr/sbin/ip link set {DEVICE} up
[Install]
WantedBy=multi-user.target
"""
# A person's own, who wants nobody to come by another way; without connection tracking.
ONLY_WAY = "table inet theirs { chain input { type filter hook input priority 0; iifname host0 tcp dport 22 drop; }; }"
# As our own are: what is established passes.
RULES = """table inet drill {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        tcp dport 22 accept
    }
}
"""
OFF = (
    "base", "fail2ban", "hardening", "rootless_docker", "toolchain", "secrets", "gateway", "launchers", "doctor",
)  # fmt: skip
SETTINGS: Mapping[str, Any] = {
    **{name: {"enabled": False} for name in OFF},
    "service_user": {"linger": False},  # which needs a bus, of base
    "firewall": {"ssh_from": ["lan", OUTSIDE]},
    "guard": {"armed_seconds": 30, "login_seconds": 4},
}


@contextmanager
def _connected() -> Iterator[None]:
    """Have this machine at the other end of the tunnel."""
    command = [sys.executable, "-I", str(PROGRAM), DEVICE, str(PORT), hosts.address(BEHIND)]
    with subprocess.Popen(command) as process:
        try:
            there = ("ip", "address", "replace", OUTSIDE, "peer", INSIDE, "dev", DEVICE)
            assert wait_until(lambda: DEVICE in sh("ip", "-br", "link"), 5), "no tun device on this machine"
            sh(*there)
            sh("ip", "link", "set", DEVICE, "up")
            yield
        finally:
            process.kill()


def _login() -> None:
    """AssertionError unless root logs in anew through the tunnel."""
    options = ("-o", f"HostName={INSIDE}", "-o", f"HostKeyAlias={BEHIND}", "-o", "ConnectTimeout=3")
    line = [*access.ssh(Lab.current(), BEHIND, "root", *options), "true"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"no login through the tunnel: {done.stderr[-500:]}"


def _inside(command: str, stdin: str = "") -> str:
    return sh(*hosts.inside(BEHIND, "sh", "-ec", command), stdin=stdin)


def only_way_in(stage: Stage) -> Figures:
    """The only way in is a VPN's server on the host: rules that would shut it are taken back, at first as ever."""
    stage.bare(BEHIND)
    looks.answer("command -v nft >/dev/null || { apt-get -q update && apt-get -yq install nftables; }",
                 host=BEHIND, user="root")  # fmt: skip
    key = looks.answer("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub", host=BEHIND, user="root")
    _inside(f"cat > /usr/local/lib/{DEVICE}.py", PROGRAM.read_text())
    _inside(f"cat > /etc/systemd/system/{DEVICE}.service", UNIT)
    _inside(f"systemctl daemon-reload && systemctl enable --quiet --now {DEVICE} && nft -f -", ONLY_WAY)
    of_host = {BEHIND: {"ssh_hostname": INSIDE, "connection": {"host_key": key}}}
    with _connected():
        _login()
        must_fail(lambda: looks.login("root", host=BEHIND), "another way in")
        run = stage.site(BEHIND, settings=SETTINGS, of_host=of_host).deploy()
        assert run.status == 1, f"rules that shut the tunnel were kept: {run.stderr[-2000:]}"
        said = f"udp/{PORT}"
        assert said in run.stderr, run.stderr[-2000:]
        assert "taken back" in run.stderr, run.stderr[-2000:]
    with _connected():  # anew: what would be remembered of the flow is not this one's
        assert wait_until(lambda: not _fails(), 40, 1), "nobody gets in any more"
        opened = merge(SETTINGS, {"firewall": {"open": {said: ["any"]}}})
        stage.site(BEHIND, settings=opened, of_host=of_host).deploy().ok()
        _login()
    with _connected():
        _login()
        _inside("nft delete table inet signalbox && nft -f -", RULES)
        _login()  # as a guard sees it that does not cut what is there
    with _connected():
        control = must_fail(_login, "the rules kept, and the tunnel begun anew")
    stage.discard(BEHIND)
    return {"first deploy": f"failed after {run.seconds:.0f} s, taken back", "said": said,
            "with the port in firewall.open": "both a tunnel of before and one begun anew pass",
            "control": control}  # fmt: skip


def _fails() -> bool:
    try:
        _login()
    except (AssertionError, subprocess.TimeoutExpired):
        return True
    return False
