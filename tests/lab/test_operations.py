"""Our operations on a real host: each change is followed by a proven no-op and seen from outside the tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import hosts
from tests.lab.inventory import write_inventory
from tests.lab.machine import wait_until

HOST = "operations"
PROJECT = Path(__file__).resolve().parents[2]

Apply = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host in a lab of its own: what somebody has up in theirs stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNALBOX_LAB", f"o{os.getpid()}")
        hosts.up([HOST], with_services=False)
        yield HOST
        hosts.down()


@pytest.fixture
def apply(host: str, tmp_path: Path) -> Apply:
    """Run one operation; return what pyinfra calls it on success, "changed" or "unchanged", or "failed"."""

    def run(call: str) -> list[str]:
        deploy = tmp_path / "deploy_one.py"
        deploy.write_text(f"from signalbox import operations\noperations.{call}\n")
        inventory = write_inventory([host], path=tmp_path / "hosts.py")
        command = [sys.executable, "-m", "pyinfra", str(inventory), str(deploy), "-y", "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        if not done.stdout.strip():
            return ["failed", done.stderr]
        results = json.loads(done.stdout)["results"]["operations"]
        return [
            "changed" if result["success"] else "unchanged" if result["no_change"] else "failed" for result in results
        ]

    return run


def see(command: str) -> str:
    return hosts.run(HOST, command).stdout.strip()


def manifest(kind: str, ident: str) -> dict[str, str | None]:
    lines = see("cat /var/lib/signalbox/manifest/*-???????? 2>/dev/null || true").splitlines()
    entries = [json.loads(line) for line in lines]
    return next((entry for entry in entries if (entry["kind"], entry["id"]) == (kind, ident)), {})


def test_a_file_replaces_a_persons_keeps_it_and_gives_it_back(apply: Apply) -> None:
    hosts.run(HOST, "printf mine > /etc/of-a-person; chmod 600 /etc/of-a-person")
    call = "file(path='/etc/of-a-person', content='ours\\n', mode='640')"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    assert see("stat -c '%a %U' /etc/of-a-person; cat /etc/of-a-person") == "640 root\nours"
    original = manifest("file", "/etc/of-a-person")["original"]
    assert see(f"cat {original}") == "mine"
    hosts.run(HOST, "echo tampered > /etc/of-a-person")
    assert apply(call) == ["changed"]
    assert see(f"cat /etc/of-a-person {original}") == "ours\nmine"  # what was tampered is no original
    away = "absent(path='/etc/of-a-person')"
    assert apply(away) == ["changed"]
    assert apply(away) == ["unchanged"]
    assert see("stat -c '%a' /etc/of-a-person; cat /etc/of-a-person") == "600\nmine"
    assert manifest("file", "/etc/of-a-person") == {}


def test_what_is_not_ours_is_not_taken_away(apply: Apply) -> None:
    hosts.run(HOST, "touch /etc/not-ours")
    assert apply("absent(path='/etc/not-ours')") == ["unchanged"]
    assert see("ls /etc/not-ours") == "/etc/not-ours"


def test_a_file_with_awkward_content_and_name_arrives_whole(apply: Apply) -> None:
    content = "quotes ' \" `backtick` $HOME \\\\ \\t tab\\nünïcode ✓\\n"
    call = f"file(path=\"/etc/it's awkward\", content='''{content}''')"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    wanted = eval(f"'''{content}'''")  # noqa: S307 (the literal above)
    assert hosts.run(HOST, 'cat "/etc/it\'s awkward"').stdout == wanted


def test_a_link_is_set_and_reset(apply: Apply) -> None:
    call = "link(path='/usr/local/bin/linked', target='/usr/bin/true')"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    hosts.run(HOST, "ln -sfT /usr/bin/false /usr/local/bin/linked")
    assert apply(call) == ["changed"]
    assert see("readlink /usr/local/bin/linked") == "/usr/bin/true"


def test_directories_are_made_and_kept_but_a_persons_mode_is_theirs(apply: Apply) -> None:
    hosts.run(HOST, "install -d -m 711 /srv/theirs")
    call = "directories(paths=['/srv/theirs', '/srv/theirs/ours'], mode='700')"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    assert see("stat -c %a /srv/theirs /srv/theirs/ours") == "711\n700"
    hosts.run(HOST, "chmod 777 /srv/theirs/ours")
    assert apply(call) == ["changed"]
    assert see("stat -c %a /srv/theirs/ours") == "700"


def test_the_first_line_of_a_persons_file(apply: Apply) -> None:
    hosts.run(HOST, "printf 'one\\ntwo\\n' > /root/.theirs")
    call = "first_line(path='/root/.theirs', line='ours', user='root')"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    assert see("cat /root/.theirs") == "ours\none\ntwo"
    hosts.run(HOST, "printf 'one\\nours\\ntwo\\n' > /root/.theirs")
    assert apply(call) == ["changed"]
    assert see("cat /root/.theirs") == "ours\none\ntwo"


def test_a_user_with_keys_ids_and_services_of_its_own(apply: Apply) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2n6Cvk0pFqHuhVqHyhzyDDTcpMTYLtZXvJYxc0rx5d a key"
    hosts.run(HOST, "apt-get -qq update && apt-get -qqy install dbus-user-session")
    for call in (
        "user(account='agent', home='/home/agent')",
        "subordinate_ids(account='agent')",
        "linger(account='agent', home='/home/agent')",
        f"authorized_keys(account='agent', home='/home/agent', keys=['{key}'])",
        "sudo_rule(account='agent', rule='ALL=(ALL:ALL) ALL')",
    ):
        apply(call)
        assert apply(call) == ["unchanged"], call
    assert see("stat -c %a /home/agent; ls /var/lib/systemd/linger") == "700\nagent"
    assert (
        see("stat -c '%a %U' /home/agent/.ssh/authorized_keys; cat /home/agent/.ssh/authorized_keys")
        == f"600 agent\n{key}"
    )
    assert see("systemctl --user --machine=agent@.host is-active dbus.socket") == "active"
    assert int(see("awk -F: '$1==\"agent\" {print $3}' /etc/subuid")) >= 65536
    assert "(ALL : ALL) ALL" in see("sudo -l -U agent")
    assert apply("sudo_rule(account='agent', rule=None)") == ["changed"]
    assert "not allowed" in see("sudo -l -U agent")


def test_packages_are_installed_in_one_go_and_a_half_installed_one_is_finished(apply: Apply) -> None:
    call = "packages(wanted=['tree', 'ncdu'])"
    assert apply(call) == ["changed"]
    assert apply(call) == ["unchanged"]
    assert manifest("package", "tree")
    hosts.run(HOST, "dpkg --unpack $(apt-get -qq download tree && ls -t tree_*.deb | head -1)")
    assert see("dpkg-query -W -f '${db:Status-Status}' tree") == "unpacked"
    assert apply(call) == ["changed"]
    assert see("dpkg-query -W -f '${db:Status-Status}' tree") == "installed"


def test_an_unknown_package_fails_with_apts_own_words(apply: Apply) -> None:
    status, said = apply("packages(wanted=['no-such-package-anywhere'])")
    assert status == "failed"
    assert "Unable to locate package no-such-package-anywhere" in said


def test_a_keyring_of_apts_has_the_pinned_key_alone(apply: Apply) -> None:
    """What apt's own verifier takes decides: Debian 13's is sqv, not gpg."""
    make = """
    apt-get -qq update && apt-get -qqy --no-install-recommends install gpg gpg-agent sqv
    export GNUPGHOME=/root/keys && install -d -m 700 $GNUPGHOME /root/served && cd /root/served && echo text > signed
    for name in pinned other; do
        gpg --batch --quiet --passphrase '' --quick-generate-key $name default default never
        gpg --armor --export $name > $name.asc
        gpg --batch --yes --local-user $name --detach-sign --output signed.$name signed
    done
    gpg --armor --export > both-in-one.asc
    cat pinned.asc other.asc > one-after-the-other.asc
    cat other.asc pinned.asc > other-first.asc
    """
    hosts.run(HOST, make)
    hosts.run(HOST, "apt-get -qqy purge gpg-agent")  # a host has none
    listed = see("GNUPGHOME=/root/keys gpg --no-autostart --list-keys --with-colons pinned")
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    keyring = "/etc/apt/keyrings/docker.asc"
    call = f"docker_repository(url='file:///root/served', fingerprint='{fingerprint}')"

    def takes(name: str) -> bool:
        verify = f"cd /root/served && sqv --keyring {keyring} --signature-file signed.{name} signed"
        return hosts.run(HOST, verify, check=False).returncode == 0

    for served in ("both-in-one", "one-after-the-other", "other-first", "other"):
        hosts.run(HOST, f"rm -f {keyring}; cp /root/served/{served}.asc /root/served/gpg")
        failed = apply(call)
        if failed[0] == "failed":
            assert "holds the keys" in failed[1], failed
            assert see(f"ls {keyring} 2>/dev/null || true") == ""
        else:  # gpg saw one key in it, and nothing else was placed
            assert (takes("pinned"), takes("other")) == (True, False), served
        assert served != "other" or failed[0] == "failed"
    hosts.run(HOST, "cp /root/served/pinned.asc /root/served/gpg")
    # One of a person's, and one that somebody has added to: neither is believed.
    forgotten = "rm -f /var/lib/signalbox/manifest/file-etc-apt-keyrings-*"
    for there in (f"{forgotten}; cp /root/served/both-in-one.asc {keyring}",
                  f"cat /root/served/other.asc >> {keyring}", f"cp /root/served/both-in-one.asc {keyring}",
                  f"rm {keyring}"):  # fmt: skip
        hosts.run(HOST, there)
        assert not there.startswith(("rm -f", "cp")) or takes("other"), "the control: sqv takes the second key"
        assert apply(call)[0] == "changed", there
        assert (takes("pinned"), takes("other")) == (True, False), there
        assert apply(call) == ["unchanged"], there
    assert manifest("file", keyring)["hash"] == see(f"sha256sum < {keyring} | cut -c -64")
    original = manifest("file", keyring)["original"]
    assert see(f"cmp {original} /root/served/both-in-one.asc && echo kept") == "kept"
    # A key that names who may revoke it, as Debian's do.
    debians = "/usr/share/keyrings/debian-archive-trixie-automatic.pgp"
    hosts.run(HOST, f"cp {debians} /root/served/gpg")
    listed = see(f"gpg --no-autostart --show-keys --with-colons {debians}")
    assert "rvk:" in listed
    other = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    assert apply(call.replace(fingerprint, other)) == ["changed"]
    assert apply(f"absent(path='{keyring}')") == ["changed"]
    assert apply("absent(path='/etc/apt/sources.list.d/docker.sources')") == ["changed"]
    hosts.run(HOST, f"rm {keyring}")


def test_a_key_made_on_the_host_stays_and_is_nobody_elses(apply: Apply) -> None:
    call = "generated_key(path='/home/agent/made.key', account='agent', home='/home/agent')"
    assert apply(call) == ["changed"]
    first = see("cat /home/agent/made.key; stat -c '%a %U' /home/agent/made.key")
    assert apply(call) == ["unchanged"]
    assert see("cat /home/agent/made.key; stat -c '%a %U' /home/agent/made.key") == first
    assert first.startswith("sk-")
    assert first.endswith("600 agent")
    hosts.run(HOST, "chmod 644 /home/agent/made.key")
    assert apply(call) == ["changed"]
    assert see("cat /home/agent/made.key; stat -c '%a %U' /home/agent/made.key") == first


def test_links_that_an_agent_laid_lead_root_nowhere(apply: Apply) -> None:
    home, key = "/home/agent", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2n6Cvk0pFqHuhVqHyhzyDDTcpMTYLtZXvJYxc0rx5d k"
    hosts.run(HOST, "install -d -m 755 /etc/precious && echo kept > /etc/precious/file && chmod 644 /etc/precious/file")
    lay = "rm -rf ~/.ssh && for link in ~/trap ~/.ssh; do ln -sfn /etc/precious $link; done"
    lay += " && ln -sfn /etc/precious/file ~/trapped"
    hosts.run(HOST, f"runuser -u agent -- env HOME={home} sh -c '{lay}'")
    before = see("ls -la --time-style=full-iso /etc/precious; cat /etc/precious/file")
    for call in (
        f"file(path='{home}/trap/file', content='ours\\n', user='agent')",
        f"directories(paths=['{home}/trap/made'], user='agent')",
        f"link(path='{home}/trap/link', target='/etc/shadow', user='agent')",
        f"first_line(path='{home}/trap/file', line='ours', user='agent')",
        f"authorized_keys(account='agent', home='{home}', keys=['{key}'])",
        f"generated_key(path='{home}/trap/made.key', account='agent', home='{home}')",
        f"key_copy(path='{home}/trap/file', source='/etc/hostname', account='agent')",
    ):
        assert apply(call)[0] == "failed", call
        assert see("ls -la --time-style=full-iso /etc/precious; cat /etc/precious/file") == before, call
    # A link in place of the file itself is replaced, not followed.
    assert apply(f"file(path='{home}/trapped', content='ours\\n', user='agent')") == ["changed"]
    assert see(f"cat {home}/trapped /etc/precious/file") == "ours\nkept"


def test_a_service_that_starts_begins_what_a_later_operation_needs_and_waits_for_it_no_more(apply: Apply) -> None:
    home = "/home/worker"
    unit = f"{home}/.config/systemd/user/sleeper.service"
    hosts.run(
        HOST,
        f"useradd -m worker && install -d -o worker {home}/.config {Path(unit).parent} && loginctl enable-linger worker"
        f" && printf '[Service]\\nExecStart=sleep infinity\\n[Install]\\nWantedBy=default.target\\n' > {unit}",
    )
    begun = "sleep 5; echo begun >> ~/begun; false"  # how it ends is nobody's business
    call = f"service(unit='sleeper.service', account='worker', home='{home}', inputs={{}}, meanwhile={begun!r})"
    assert apply(call) == ["changed"]
    assert see(f"cat {home}/begun 2>/dev/null || true") == "", "it was waited for"
    assert wait_until(lambda: see(f"cat {home}/begun 2>/dev/null || true") == "begun", 20, 0.5)
    assert apply(call) == ["unchanged"]
    ours = "runuser -u worker -- env XDG_RUNTIME_DIR=/run/user/$(id -u worker)"
    hosts.run(HOST, f"{ours} systemctl --user stop sleeper.service")
    assert apply(call.replace("echo begun", "echo again")) == ["changed"]
    assert wait_until(lambda: see(f"cat {home}/begun") == "begun\nagain", 20, 0.5)
