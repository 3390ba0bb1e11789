"""The lab's own promises, on hosts in a lab of its own, so that others may run beside it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.lab import base, hosts, inventory, network, services
from tests.lab.__main__ import main
from tests.lab.instance import LAB_NAME, Lab, cache_directory, labs_directory
from tests.lab.machine import LabError, Process, cgroup_root, require_machine, sh

NAME = f"t{os.getpid()}"
A, B = "test-a", "test-b"
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    """A separate lab with hosts A and B."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNALBOX_LAB", NAME)
        hosts.up([A, B], with_services=False)
        yield Lab.current()
        hosts.down()


@pytest.fixture
def spare_lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A separate lab without hosts, for what takes a whole lab down."""
    monkeypatch.setenv("SIGNALBOX_LAB", f"{NAME}x")
    yield Lab.current()
    monkeypatch.setenv("SIGNALBOX_LAB", f"{NAME}x")  # a test may have looked at another lab
    hosts.down()


def traces(lab: Lab) -> set[str]:
    """What the machine has now that a lab could have left; what belongs to other labs comes and goes, so not that."""
    others = {path.parents[1].name for path in labs_directory().glob("*/hosts/*")} - {lab.name}
    links = re.findall(r"^\d+: ([^:@]+)\S* (.*)", sh("ip", "-o", "link"), re.M)
    elsewhere = re.compile(rf" master (?!{lab.bridge} )sb-")  # plugged into another lab's bridge
    tables = sh("nft", "list", "tables").splitlines()
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    mounts = [path for path in mounts if not path.startswith(str(cache_directory()))]  # a mirror being built
    cgroups = [str(path) for path in cgroup_root().iterdir() if path.is_dir()]
    commands = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline")]
    found = {f"link {name}" for name, facts in links if not elsewhere.search(facts)}
    found |= {f"mount {path}" for path in mounts} | {f"cgroup {path}" for path in cgroups}
    found |= {f"nft {table}" for table in tables}
    found |= {f"process {line}" for line in commands if str(lab.state) in line}
    foreign = {f"link sb-{other}" for other in others}
    foreign |= {f"nft table inet signalbox_{other}" for other in others}
    foreign |= {line for line in found if any(f"/signalbox-{other}-" in line for other in others)}
    return found - foreign


def test_base_tree_holds_nothing_that_makes_a_host_itself() -> None:
    tree = base.tree()
    assert (tree / "usr/sbin/sshd").exists()
    assert [path for pattern in base.IDENTITY for path in tree.glob(pattern)] == []


@pytest.mark.usefixtures("own_lab")
def test_hosts_trust_the_authorities_of_this_machine() -> None:
    trusted = hosts.run(A, "cat /etc/ssl/certs/ca-certificates.crt").stdout
    assert "BEGIN CERTIFICATE" in trusted
    assert [path for path in base.ca_files() if path.read_text().strip() not in trusted] == []


def test_each_host_is_debian_13_with_its_own_identity(own_lab: Lab) -> None:
    seen = {}
    for name in (A, B):
        machine_id, version, hostname = hosts.run(
            name, "cat /etc/machine-id; cut -d. -f1 /etc/debian_version; hostname"
        ).stdout.split()
        assert (version, hostname) == ("13", name)
        keys = sh("ssh-keyscan", "-t", "ed25519", hosts.address(name)).splitlines()
        assert " ".join(keys[-1].split()[1:3]) in own_lab.host(name).facts()["host_keys"]
        seen[name] = {machine_id, *own_lab.host(name).facts()["host_keys"]}
    assert seen[A].isdisjoint(seen[B])
    assert len(seen[A]) == 4  # machine-id; ecdsa, ed25519 and rsa key


@pytest.mark.usefixtures("own_lab")
def test_what_one_host_encrypts_another_cannot_decrypt() -> None:
    box = hosts.run(A, "echo sesame | systemd-creds encrypt --name=x --with-key=host - -").stdout
    assert hosts.run(A, "systemd-creds decrypt --name=x - -", stdin=box).stdout == "sesame\n"
    other = hosts.run(B, "systemd-creds decrypt --name=x - -", stdin=box, check=False)
    assert other.returncode != 0
    assert "sesame" not in other.stdout


@pytest.mark.parametrize("version", [4, 6])
def test_hosts_reach_each_other(own_lab: Lab, version: int) -> None:
    hosts.run(A, f"ping -{version} -c 1 -W 5 {hosts.address(B, version)}")
    assert hosts.run(A, f"ping -{version} -c 1 -W 1 {own_lab.ipv4(250)}", check=False).returncode != 0


@pytest.mark.usefixtures("own_lab")
def test_hosts_reach_the_debian_mirror() -> None:
    done = hosts.run(A, "apt-get update 2>&1 && apt-cache policy tmux")
    assert "Candidate: 3." in done.stdout


@pytest.mark.usefixtures("own_lab")
def test_hosts_cannot_see_each_others_units_and_are_healthy() -> None:
    hosts.run(A, "systemd-run --unit=only-here sleep 60")
    for name, sees in ((A, 1), (B, 0)):
        assert len(hosts.run(name, "find /sys/fs/cgroup -name only-here.service").stdout.split()) == sees
    assert hosts.run(B, "systemctl is-system-running --wait").stdout == "running\n"


def test_an_unexpected_host_key_is_refused(own_lab: Lab) -> None:
    known = own_lab.state / "known_hosts"
    right = known.read_text()
    keys = {name: own_lab.host(name).facts()["host_keys"] for name in (A, B)}
    try:
        swapped = right
        for mine, theirs in zip(keys[A], keys[B], strict=True):
            swapped = swapped.replace(mine, theirs)
        known.write_text(swapped)
        refused = hosts.run(A, "true", check=False)
    finally:
        known.write_text(right)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


@pytest.mark.usefixtures("own_lab")
def test_reboot_is_a_new_boot_of_the_same_host() -> None:
    before = hosts.boot_id(B)
    hosts.run(B, "echo kept > /var/tmp/mark; echo lost > /run/mark")
    hosts.reboot(B)
    assert hosts.boot_id(B) not in (before, "")
    assert hosts.run(B, "cat /var/tmp/mark; ls /run/mark", check=False).stdout == "kept\n"


@pytest.mark.parametrize("hard", [False, True])
def test_poweroff_keeps_the_disk(own_lab: Lab, hard: bool) -> None:
    machine_id = hosts.run(B, "echo kept > /var/tmp/off; sync; cat /etc/machine-id").stdout
    hosts.poweroff(B, hard=hard)
    assert hosts.exists(B)
    assert B not in hosts.running()
    veth = own_lab.host(B).veth
    assert not Path("/sys/class/net", veth).exists()
    sh("ip", "link", "add", veth, "type", "bridge")  # as a killed host may leave its cable
    hosts.up([B], with_services=False)
    assert hosts.run(B, "cat /var/tmp/off /etc/machine-id").stdout == f"kept\n{machine_id}"


@pytest.mark.usefixtures("own_lab")
def test_admin_with_and_without_password() -> None:
    hosts.add_admin(A, "free")
    hosts.add_admin(A, "asked", "tr0ub4dor")
    assert hosts.run(A, "sudo -n id -u", user="free").stdout == "0\n"
    assert hosts.run(A, "sudo -n id -u", user="asked", check=False).returncode != 0
    assert hosts.run(A, "sudo -S id -u", user="asked", stdin="tr0ub4dor\n").stdout == "0\n"


@pytest.mark.usefixtures("own_lab")
def test_exec_needs_no_sshd() -> None:
    hosts.run(A, "systemctl stop ssh --no-block")
    try:
        assert sh(*hosts.inside(A, "sh", "-c", "hostname; id -u")) == f"{A}\n0\n"
        command = [sys.executable, "-m", "tests.lab", "exec", A, "--", "sh", "-c", "exit 7"]
        assert subprocess.run(command, cwd=PROJECT, check=False).returncode == 7
    finally:
        sh(*hosts.inside(A, "systemctl", "start", "ssh"))


def test_pyinfra_connects_with_the_inventory(own_lab: Lab) -> None:
    shared = {"gateway": {"port": 4001}, "ssh_strict_host_key_checking": "yes"}
    path = inventory.write_inventory(None, shared, {A: {"gateway": {"port": 4002}}}, own_lab.state / "two.py")
    command = [sys.executable, "-m", "pyinfra", str(path), "exec", "--", "echo at $(hostname)"]
    done = subprocess.run(command, cwd=own_lab.state, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"at {A}" in done.stdout + done.stderr
    assert f"at {B}" in done.stdout + done.stderr
    written: dict[str, tuple[list[tuple[str, dict[str, object]]], dict[str, object]]] = {}
    exec(path.read_text(), {}, written)  # noqa: S102
    entries, group = written["lab"]
    assert group == shared
    assert [data.get("gateway") for _, data in sorted(entries)] == [{"port": 4002}, None]


@pytest.mark.usefixtures("own_lab")
def test_list_tells_the_hosts() -> None:
    told = CliRunner().invoke(main, ["list", "--json"])
    assert (
        f'{{"name": "{A}", "state": "up", "ipv4": "{hosts.address(A)}", "ipv6": "{hosts.address(A, 6)}"}}'
        in told.stdout
    )


def test_down_of_one_host_leaves_the_other(own_lab: Lab) -> None:
    assert not LAB_NAME.fullmatch(network.LOCK)
    name = "access"  # also what a lock of the lab is for: they must not be one
    hosts.up([name], with_services=False)
    veth, boot = own_lab.host(name).veth, hosts.boot_id(A)
    assert Path("/sys/class/net", veth).exists()
    hosts.down([name])
    assert not hosts.exists(name)
    assert not Path("/sys/class/net", veth).exists()
    assert hosts.boot_id(A) == boot


def test_services_answer_hosts_on_the_bridge_alone_and_end_with_the_lab(
    spare_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SERVICES", ("simulators",))  # the mirror is built for minutes, once
    before = traces(spare_lab)
    hosts.up(["test-s"])
    settings = services.lab_settings()
    url = settings["backends"]["lmstudio"]["url"]
    assert url.startswith(f"http://{spare_lab.ipv4(1)}:")
    assert settings["service_user"]["authorized_keys"] == [f"{spare_lab.key}.pub"]
    assert hosts.run("test-s", f"curl -s -o /dev/null -w '%{{http_code}}' {url}/v1/models").stdout == "200"
    port = url.rpartition(":")[2]
    listening = re.findall(rf"(\S+):{port}\s", sh("ss", "-Htln"))
    assert spare_lab.ipv4(1) in listening
    assert not {"0.0.0.0", "*", "[::]"} & set(listening)  # noqa: S104
    hosts.down()
    assert traces(spare_lab) == before


def test_down_leaves_nothing(spare_lab: Lab) -> None:
    before = traces(spare_lab)
    hosts.up(["test-d"], with_services=False)
    during = traces(spare_lab)
    links = {f"link {spare_lab.bridge}", f"link {spare_lab.host('test-d').veth}"}
    assert links | {f"nft table inet {spare_lab.table}"} <= during
    assert any(line.startswith("process ") for line in during - before)
    hosts.down()
    assert traces(spare_lab) == before
    assert not spare_lab.state.exists()


def test_down_sets_forwarding_back(tmp_path: Path) -> None:
    """In a network namespace of its own, where no other lab forwards, with an uplink that learns its IPv6 route."""
    sysctls = [f"/proc/sys/net/{name}" for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")]
    sysctls.append("/proc/sys/net/ipv6/conf/uplink/accept_ra")
    show = f"echo $(cat {' '.join(sysctls)})"
    script = f"""set -e
        ip link add uplink type bridge
        ip address add fd00:0:0:1::2/64 dev uplink nodad
        ip link set uplink up
        ip -6 route add default via fd00:0:0:1::1 dev uplink
        echo 0 > {sysctls[0]}; echo 0 > {sysctls[1]}; echo 1 > {sysctls[2]}
        {show}
        {sys.executable} -m tests.lab up test-f --no-services
        {show}
        {sys.executable} -m tests.lab down
        {show}"""
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        env={**os.environ, "SIGNALBOX_LAB": f"{NAME}n", "SIGNALBOX_LAB_STATE": str(tmp_path / "labs")},
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "0 0 1\n1 1 2\n0 0 1\n", done.stderr
    assert not (tmp_path / "labs").exists()


def test_down_finishes_what_a_crash_left(spare_lab: Lab) -> None:
    before = traces(spare_lab)
    hosts.up(["test-e"], with_services=False)
    supervisor = Process.recorded(spare_lab.host("test-e").supervisor)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    (spare_lab.state / "known_hosts").unlink()
    spare_lab.host("test-e").record.unlink()
    hosts.down()
    hosts.down()  # nothing there is no error
    assert traces(spare_lab) == before


def test_a_host_whose_supervisor_died_starts_again(own_lab: Lab) -> None:
    supervisor = Process.recorded(own_lab.host(B).supervisor)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    before = hosts.boot_id(B)
    assert before != ""  # the host itself runs on, without anybody who would start it after a reboot
    hosts.up([B], with_services=False)
    assert hosts.boot_id(B) not in (before, "")


def test_two_labs_run_hosts_of_one_name(own_lab: Lab, spare_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(lab: Lab) -> tuple[str, str]:
        monkeypatch.setenv("SIGNALBOX_LAB", lab.name)
        hostname, machine_id = hosts.run(A, "hostname; cat /etc/machine-id").stdout.split()
        assert hostname == A
        assert machine_id == lab.host(A).facts()["machine_id"]
        hosts.run(A, f"ping -c 1 -W 5 {lab.ipv4(1)}")
        return machine_id, hosts.boot_id(A)

    first = look(own_lab)
    monkeypatch.setenv("SIGNALBOX_LAB", spare_lab.name)
    hosts.up([A], with_services=False)
    second = look(spare_lab)
    assert set(first).isdisjoint(second)
    assert look(own_lab) == first  # its cable, and what runs, are as they were
    monkeypatch.setenv("SIGNALBOX_LAB", spare_lab.name)
    hosts.reboot(A)
    hosts.poweroff(A, hard=True)
    assert look(own_lab) == first
    monkeypatch.setenv("SIGNALBOX_LAB", spare_lab.name)
    hosts.up([A], with_services=False)
    hosts.down()
    assert look(own_lab) == first


@pytest.mark.parametrize("name", ["Box", "1box", "a-", "a" * 64, "a b", ""])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    told = CliRunner().invoke(main, ["up", name])
    assert told.exit_code == 1
    assert told.stderr == (
        f"Error: {name!r} cannot name a host; write a letter, then up to 62 of a-z, 0-9 and -, and no - at the end\n"
    )


def test_a_machine_that_cannot_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match=r"^lab hosts need a Debian machine with: apt-get install .*systemd-container"):
        require_machine()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"^lab hosts need root: run it as root, or with sudo$"):
        require_machine()


@pytest.mark.parametrize("command", [["ssh", "ghost"], ["exec", "ghost", "--", "true"], ["poweroff", "ghost"]])
@pytest.mark.usefixtures("own_lab")
def test_a_host_that_is_not_there_is_told(command: list[str]) -> None:
    told = CliRunner().invoke(main, command)
    assert (told.exit_code, told.stdout) == (1, "")
    assert re.search(
        r"^Error: (there is no host 'ghost'|ghost is not up): python -m tests.lab up ghost\n\Z", told.stderr, re.M
    )
