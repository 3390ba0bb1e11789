"""Runs on a lab host as root and prints all that makes it what it is: {kind: {name: state}}. Standard library alone."""

import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import sys

# No files, or those of running programs.
NOT_FILES = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp")  # noqa: S108
# What the kernel counts, and what no two machines have in common.
COUNTED = re.compile(
    r"fs\.(dentry-state|file-nr|inode-.*|quota\..*)|kernel\.(hostname|ns_last_pid|pty\.nr|random\..*)|.*_count$"
)
# Told as they are: small, without secrets, and what is in them says which thing they are of.
MANIFEST = "/var/lib/signalbox/manifest/"
# Whose lines mean the same in any order.
UNORDERED = ("/etc/subuid", "/etc/subgid")
# Named as one thing: an engine's storage, an unpacked program.
WHOLE = re.compile(r"/home/[^/]+/\.local/share/(docker|mise/installs/[^/]+/[^/]+)$")


def say(*command):
    """Return the lines that a command prints; what fails says nothing."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def name_of(table, number, key):
    try:
        return getattr(table(number), key)
    except KeyError:
        return str(number)


def file_state(path):
    """Return type, mode, owner and content of what lies there, or "" when it is gone meanwhile."""
    try:
        status = os.lstat(path)
        owner = f"{name_of(pwd.getpwuid, status.st_uid, 'pw_name')}:{name_of(grp.getgrgid, status.st_gid, 'gr_name')}"
        mode = f"{stat.S_IMODE(status.st_mode):o}"
        if stat.S_ISLNK(status.st_mode):
            return f"link {owner} to {os.readlink(path)}"
        if stat.S_ISDIR(status.st_mode):
            return f"directory {mode} {owner}"
        if not stat.S_ISREG(status.st_mode):
            return f"other {mode} {owner}"
        with open(path, "rb") as file:
            if path.startswith(MANIFEST):
                return f"file {mode} {owner} {file.read().decode()}"
            if path in UNORDERED:
                return f"file {mode} {owner} {hashlib.sha256(b''.join(sorted(file))).hexdigest()[:16]}"
            return f"file {mode} {owner} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
    except OSError:
        return ""


def files():
    found = {}
    for directory, names, leaves in os.walk("/"):
        for name in list(names):
            path = os.path.join(directory, name)
            if path in NOT_FILES or WHOLE.match(path) or os.path.islink(path):
                names.remove(name)
            if path not in NOT_FILES:
                found[path] = file_state(path)
        for name in leaves:
            path = os.path.join(directory, name)
            found[path] = file_state(path)
    return {path: state for path, state in found.items() if state}


def packaged():
    """Return which package each file of dpkg's lists is of."""
    owners = {}
    for name in os.listdir("/var/lib/dpkg/info"):
        if name.endswith(".list"):
            with open(f"/var/lib/dpkg/info/{name}") as file:
                for path in file.read().splitlines():
                    merged = re.sub(r"^/(bin|sbin|lib|lib64)(/|$)", r"/usr/\1\2", path)
                    owners[merged] = name.removesuffix(".list").partition(":")[0]
    return owners


def packages():
    marks = set(say("apt-mark", "showmanual"))
    query = say("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\n")
    rows = (line.split() for line in query)
    return {row[0]: f"{' '.join(row[1:])}{' manual' if row[0] in marks else ''}" for row in rows if row}


def units(*words):
    """Return which units are enabled how, and which are active."""
    found = {}
    for line in say("systemctl", *words, "list-unit-files", "--no-legend", "--no-pager", "--full"):
        name, state, *_ = line.split()
        if state != "transient":
            found[name] = state
    for line in say("systemctl", *words, "list-units", "--no-legend", "--no-pager", "--plain", "--full",
                    "--state=active,failed", "--type=service,socket,timer"):  # fmt: skip
        name, _, active, sub, *_ = line.split()
        found[name] = f"{found.get(name, '')} {active} {sub}".strip()
    return found


def people():
    """Return the users with a manager of their own, and what their engines and units are."""
    units_of, images, containers = {}, {}, {}
    for user in sorted(os.listdir("/var/lib/systemd/linger")) if os.path.isdir("/var/lib/systemd/linger") else []:
        for name, state in units("--user", f"--machine={user}@.host").items():
            units_of[f"{user}: {name}"] = state
        uid = pwd.getpwnam(user).pw_uid
        docker = ["runuser", "-u", user, "--", "env", f"DOCKER_HOST=unix:///run/user/{uid}/docker.sock", "docker"]
        for line in say(*docker, "image", "ls", "--digests", "--format", "{{.Repository}} {{.Digest}}"):
            images[f"{user}: {line.split()[0]}"] = line.split()[1]
        for line in say(*docker, "ps", "-a", "--format", "{{.Names}} {{.State}}"):
            containers[f"{user}: {line.split()[0]}"] = line.split()[1]
    return units_of, images, containers


def rules():
    """Return each line of the loaded firewall by its table and chain; counters and what is banned come and go."""
    found, table, chain = {}, "", ""
    for line in say("nft", "--stateless", "list", "ruleset"):
        words = line.strip()
        if line.startswith("table "):
            table = words.removesuffix(" {")
            found[table] = "loaded"
        elif re.match(r"\s*(chain|set) .*\{$", line):
            chain = words.removesuffix(" {")
            found[f"{table} {chain}"] = "loaded"
        elif words not in ("", "}") and "elements" not in words:
            found[f"{table} {chain}: {words}"] = "loaded"
    return found


def main():
    users = {each.pw_name: f"{each.pw_uid}:{each.pw_gid} {each.pw_dir} {each.pw_shell}" for each in pwd.getpwall()}
    groups = {each.gr_name: f"{each.gr_gid} {','.join(sorted(each.gr_mem))}".strip() for each in grp.getgrall()}
    values = (line.partition(" = ") for line in say("sysctl", "-a"))
    user_units, images, containers = people()
    json.dump(
        {
            "file": files(),
            "package": packages(),
            "user": users,
            "group": groups,
            "unit": units(),
            "user unit": user_units,
            "image": images,
            "container": containers,
            "sysctl": {name: value for name, _, value in values if not COUNTED.fullmatch(name)},
            "rule": rules(),
            "owned": packaged(),
        },
        sys.stdout,
    )


main()
