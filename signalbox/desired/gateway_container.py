"""How the gateway's container is run, as host/supervisor reads it: container.json. Nothing secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from signalbox.desired.gateway_config import Container
from signalbox.settings.sections.gateway import Gateway, Limits
from signalbox.shell.secret_files import reader

AUDIT = "/var/lib/signalbox/audit"
TMPFS = ("/tmp", "/app/cache", "/app/migrations")  # noqa: S108 (all that a read-only container may write to)
TMPFS_MIB = 64  # of each: it is memory


def container_json(settings: Gateway, container: Container, key_files: Mapping[str, str]) -> str:
    """Return the file. `key_files`: path of each secret that the container gets, by its name."""
    wanted = {
        "run": _run(container, settings.limits),
        "secrets": {name: [path, reader(path)] for name, path in key_files.items()},
        "names": _names(container),
        "deployments": sorted(entry["model_info"]["id"] for entry in container.config["model_list"]),
        "start_timeout_seconds": settings.start_timeout_seconds,
        "drain_seconds": settings.drain_seconds,
    }
    return json.dumps(wanted, indent=2) + "\n"


def _names(container: Container) -> list[str]:
    """Return the servers' names, which this host may know otherwise than by DNS; stage.py looks."""
    servers = [*container.config["model_list"], *container.config.get("search_tools", ())]
    urls = {str(entry["litellm_params"].get("api_base") or "") for entry in servers}
    return sorted({urlsplit(url).hostname or "" for url in urls} - {"host.docker.internal", ""})


def _run(container: Container, limits: Limits) -> list[str]:
    """Return what `docker run` gets beside a name, a port, and what is staged for this start."""
    memory, files = f"{limits.memory_mib}m", f"nofile={limits.files}:{limits.files}"
    words = ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.tasks), "--ulimit", files]
    words += ["--pull", "never", "--user", "0:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += ["--read-only", *(f"--tmpfs={path}:size={TMPFS_MIB}m" for path in TMPFS)]
    words += ["--log-driver", "local"]
    if container.host_loopback:
        words += ["--add-host", "host.docker.internal:host-gateway"]
    for name, value in container.environment.items():
        words += ["--env", f"{name}={value}"]
    if bundle := container.environment.get("SSL_CERT_FILE"):
        words += ["--mount", f"type=bind,src={bundle},dst={bundle},readonly"]
    words += ["--mount", f"type=bind,src={AUDIT},dst=/signalbox/audit", "--entrypoint", "/signalbox/start"]
    return [*words, container.image, "--config", "/signalbox/config.yaml", "--port", "4000"]
