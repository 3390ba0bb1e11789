"""The hosts of a race: how pyinfra, ssh and Ansible reach them, and their resources as an Ansible inventory."""

from __future__ import annotations

import base64
import json
import pprint
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.proxy import Proxy
from tests.good_settings import GOOD
from tests.lab import hosts, services
from tests.lab.instance import Lab
from tests.lab.inventory import write_inventory
from tests.lab.machine import write
from tests.plan.simulated import SECRETS

# Runs on the host: what its manifest holds, as it is now.
DESCRIBE = r"""
import base64, glob, grp, json, os, pwd, re, subprocess
def owned(path):
    found = os.lstat(path)
    return {"path": path, "owner": pwd.getpwuid(found.st_uid).pw_name, "group": grp.getgrgid(found.st_gid).gr_name,
            "mode": f"{found.st_mode & 0o7777:04o}"}
entries = [json.loads(line) for path in glob.glob("/var/lib/signalbox/manifest/*-????????") for line in open(path)]
def of(kind):
    return sorted((each for each in entries if each["kind"] == kind), key=lambda each: each["id"])
users = [pwd.getpwnam(each["id"]) for each in of("user")]
def user_units(user):
    below = f"{user.pw_dir}/.config/systemd/user"
    return [path.rsplit("/", 1)[1] for path in sorted(glob.glob(f"{below}/*.service"))
            if os.path.lexists(f"{below}/default.target.wants/" + path.rsplit("/", 1)[1])]
def there(kind, test):
    return [each for each in of(kind) if test(each["id"])]
files = [owned(each["id"]) | {"content": base64.b64encode(open(each["id"], "rb").read()).decode()}
         for each in there("file", os.path.isfile)]
links = [each["id"] for each in there("link", os.path.islink)]
print(json.dumps({
    "packages": [each["id"] for each in of("package")],
    "users": [{"name": user.pw_name, "home": user.pw_dir, "shell": user.pw_shell} for user in users],
    "directories": [owned(each["id"]) for each in there("directory", os.path.isdir)],
    "files": files,
    "links": [{"path": path, "target": os.readlink(path)} for path in links],
    "lines": [{"path": each["id"], "line": each["hash"]} for each in of("line")],
    "tools": [os.readlink(path) for path in links if re.search("/bin/(mise|claude)$", path)]
             + [path for user in users
                for path in glob.glob(f"{user.pw_dir}/.local/share/mise/installs/node/*/bin/node")
                if not os.path.islink(path.rsplit("/", 2)[0])],
    "system_units": [{"unit": unit, "runs": subprocess.run(["systemctl", "is-active", "-q", unit]).returncode == 0}
                     for unit in sorted(path.rsplit("/", 1)[1]
                                        for path in glob.glob("/etc/systemd/system/*.wants/signalbox*"))],
    "user_units": [{"user": user.pw_name, "uid": user.pw_uid, "unit": unit} for user in users
                   for unit in user_units(user)],
    "images": [{"user": user.pw_name, "uid": user.pw_uid, "reference": each["id"].split(":", 1)[1]}
               for each in of("image") for user in users if user.pw_name == each["id"].split(":", 1)[0]],
}))
"""


@dataclass(frozen=True)
class Way:
    """How to reach some hosts, directly or through proxies: what each tool is given."""

    pyinfra: Path
    ansible: Path
    ssh: dict[str, list[str]]


class Site:
    """Hosts of the current lab; files are written below the lab's own state.

    profiles: settings of hosts, by name, over the lab's.
    """

    def __init__(self, names: Sequence[str], profiles: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.names, self.profiles = list(names), profiles or {}
        self.directory = Lab.current().state / "bench"
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def resources(self, name: str) -> dict[str, Any]:
        """Return what Signalbox keeps on a host, as variables of the playbook; contents of files lie beside it."""
        found: dict[str, Any] = json.loads(inside(name, "python3 -", DESCRIBE))
        for number, file in enumerate(found["files"]):
            source = self.directory / f"{name}-{number}"
            source.write_bytes(base64.b64decode(file.pop("content")))
            source.chmod(0o600)
            file["source"] = str(source)
        return found

    def way(
        self, label: str, names: Sequence[str], proxies: dict[str, Proxy] | None = None, *, converged: bool = True
    ) -> Way:
        """Write the inventories that reach these hosts, through `proxies` where there are some.

        converged: what the hosts hold is told to Ansible.
        """
        lab = Lab.current()
        data, ssh, ansible, known = {}, {}, {}, []
        for name in names:
            address, port = ("127.0.0.1", proxies[name].port) if proxies else (hosts.address(name), 22)
            key = (lab.host(name).upper / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
            known.append(f"{f'[{address}]:{port}' if proxies else address} {' '.join(key)}\n")
            known_hosts = str(self.directory / f"{label}.known_hosts")
            data[name] = {
                "ssh_hostname": address,
                "ssh_port": port,
                "ssh_known_hosts_file": known_hosts,
                "ssh_strict_host_key_checking": "yes",
                **self.profiles.get(name, {}),
            }
            options = ["-q", "-i", str(lab.key), "-o", f"UserKnownHostsFile={known_hosts}", "-o", "BatchMode=yes"]
            ssh[name] = ["ssh", *options, "-p", str(port), f"root@{address}"]
            ansible[name] = {
                "ansible_host": address,
                "ansible_port": port,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(lab.key),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
                **(self.resources(name) if converged else {}),
            }
        write(self.directory / f"{label}.known_hosts", "".join(known))
        inventory = self.directory / f"{label}.json"
        write(inventory, json.dumps({"all": {"hosts": ansible}}), 0o600)
        path = write_inventory(list(names), services.lab_settings(), data, self.directory / f"{label}.py")
        return Way(path, inventory, ssh)

    def simulated(self, number: int) -> Path:
        """Write an inventory of so many hosts that only pyinfra simulates."""
        data = {**GOOD, "fake_delay": 0, "fake_delay_jitter": 0}
        path = self.directory / "simulated.py"
        write(path, f"boxes = {pprint.pformat([(f'@fake/box{each}', data) for each in range(number)])}\n")
        return path


def environment() -> dict[str, str]:
    """Return the secrets that deploys to lab hosts and to simulated hosts ask for."""
    return {**SECRETS, **services.environment()}


def inside(name: str, script: str, stdin: str = "", timeout: int = 120) -> str:
    """Run a script as root on a host, past its network."""
    return subprocess.run(
        hosts.inside(name, "sh", "-c", script), input=stdin, capture_output=True, text=True, check=True, timeout=timeout
    ).stdout


def script_of(commands: Sequence[str]) -> str:
    """Return the plain script that runs the commands one after the other."""
    return "".join(f"sh -c {shlex.quote(command)}\n" for command in commands)
