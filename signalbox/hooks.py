"""What Signalbox does inside pyinfra, however pyinfra was started: its entry point in `pyinfra.connectors`.

pyinfra loads every connector entry point when it makes an inventory, so before it connects to anything.
That makes this the one place for a faster transport, for settings that are checked before a host is
touched, and for the host keys that the inventory names.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import gevent
from pyinfra.api import Host, State, connect, operations
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.ssh import SSHConnector

from signalbox import askpass, overhead, printed, transport
from signalbox.applied import applied, commit
from signalbox.lanes import lane_secrets
from signalbox.readahead import install as readahead
from signalbox.routes import required_secrets
from signalbox.secrets import SecretError
from signalbox.settings import settings_for, validate_run
from signalbox.settings.layers import layers_of, merged

# Files of ours that change nothing that a deploy would.
_NO_DEPLOYS = ("verify.py", "deploys/lock.py")
# Deploy files that place no secret, and must work where one is missing.
_WITHOUT_SECRETS = ("remove.py", "deploys/gateway_key.py", "deploys/lock.py", "deploys/usage.py")
# What a deploy will import.
_NEEDED = ("signalbox.operations", "signalbox.routes", "signalbox.health", "signalbox.render")
_OURS = Path(__file__).with_name("deploys")


# Hear of every deploy of this process, as pyinfra's own callbacks do; it forgets those with each State.
watchers: list[BaseStateCallback] = []


class Hooks(BaseConnector):
    """Not a connector: importing this module is its purpose."""

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None) -> Any:
        """Refuse `@signalbox` as an inventory."""
        raise InventoryError(f"@signalbox/{name or ''} is no inventory; name a file such as inventory.py")


def _deploy() -> str | None:
    """Return the first deploy file that pyinfra was called with; None for `exec`, `fact` and the like."""
    context = click.get_current_context(silent=True)
    operations = [str(name) for name in (context.params.get("operations") if context else None) or ()]
    return operations[0] if operations and all(name.endswith(".py") for name in operations) else None


def _file(deploy: str) -> str:
    """Return the name of a deploy file; that of one in signalbox/deploys starts with `deploys/`."""
    path = Path(deploy)
    return f"{_OURS.name}/{path.name}" if path.resolve().parent == _OURS else path.name


def _ask_nothing() -> None:
    """Have pyinfra's command line go on without a question: a run that only looks needs no leave."""
    sys.modules["pyinfra_cli.cli"]._do_confirm = lambda _: True  # type: ignore[attr-defined]


def _is_signalbox(inventory: Inventory) -> bool:
    return "lanes" in (inventory.get_data() or {})  # type: ignore[no-untyped-call]


def _check_secrets(hosts: list[Host], deploy: str) -> None:
    """Have every secret of these hosts at hand, or end the run with all that is missing, told at once."""
    missing = []
    for host in hosts:
        settings = settings_for(host)
        own = (settings.connection.sudo_password, settings.service_user.password)
        names = [*required_secrets(settings), *lane_secrets(settings), *own]
        if _file(deploy) in _WITHOUT_SECRETS:
            names = [settings.connection.sudo_password]
        for name in dict.fromkeys(name for name in names if name):
            try:
                settings.secret(name)
            except SecretError as error:
                missing.append(str(error))
    if missing:
        raise SecretError("secrets are missing; nothing was done on any host\n  " + "\n  ".join(missing))


def check(state: State, deploy: str) -> None:
    """Validate the settings of all selected hosts, and have their secrets at hand; an inventory that is ours alone.

    Raises:
        SettingsError, SecretError: with all that is wrong; nothing was asked of any host.
    """
    if _is_signalbox(state.inventory):
        hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
        validate_run(state.inventory, hosts)
        if _file(deploy) != "verify.py":
            _check_secrets(hosts, deploy)


@cache
def _own_directory() -> tempfile.TemporaryDirectory[str]:
    """Return this process's directory, which goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="signalbox-")


def _trust_host_keys(inventory: Inventory) -> None:
    """Let a host with `connection.host_key` be reached with that key and no other."""
    for host in inventory:
        connection = merged(layers_of(inventory, host.name)).get("connection")
        key = connection.get("host_key") if isinstance(connection, dict) else None
        if not isinstance(key, str):
            continue
        address = host.data.get("ssh_hostname") or host.name
        port = int(host.data.get("ssh_port") or 22)
        known_hosts = Path(_own_directory().name, host.name.replace("/", "_"))
        known_hosts.write_text(f"{address if port == 22 else f'[{address}]:{port}'} {key}\n")
        # The connector has its own copy of the host's data, made before anything connects.
        if isinstance(host.connector, SSHConnector):
            host.connector.data["ssh_known_hosts_file"] = str(known_hosts)
            host.connector.data["ssh_strict_host_key_checking"] = "yes"


class _AskAhead(BaseStateCallback):
    """Has the facts of the last run asked again as soon as a host is connected; not after a reboot in the run."""

    @staticmethod
    def host_connect(state: State, host: Host) -> None:
        if state.current_stage == StateStage.Connect and (deploy := _deploy()):
            readahead.begin(host, deploy, settings_for(host).privileges())


def _meanwhile() -> None:
    """Do what every deploy needs and no host is asked for, piece by piece, so that hosts that answer are heard."""
    for module in _NEEDED:
        import_module(module)
        gevent.sleep(0)
    commit()


def _before(original: Callable[[State], None]) -> Callable[[State], None]:
    @wraps(original)
    def connect_all(state: State) -> None:
        if _is_signalbox(state.inventory):
            deploy = _deploy()
            if deploy:
                check(state, deploy)
                if _file(deploy) == "verify.py":
                    _ask_nothing()
                for watcher in (_AskAhead(), *watchers):
                    state.add_callback_handler(watcher)  # type: ignore[no-untyped-call]
                gevent.spawn(_meanwhile)  # hosts take their time to let us in
            _trust_host_keys(state.inventory)
        original(state)

    connect_all.signalbox = True  # type: ignore[attr-defined]
    return connect_all


def _around(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def run_ops(state: State, *args: Any, **kwargs: Any) -> None:
        deploy = _deploy()
        if not _is_signalbox(state.inventory) or deploy is None or _file(deploy) in _NO_DEPLOYS:
            return original(state, *args, **kwargs)
        with applied(state, None if _file(deploy).startswith(f"{_OURS.name}/") else _file(deploy)):
            return original(state, *args, **kwargs)

    return run_ops


def install() -> None:
    """Install all of it: functions are wrapped where pyinfra and where its command line look them up."""
    overhead.install()
    transport.install()
    askpass.install()
    printed.install()
    readahead.install()
    if getattr(connect.connect_all, "signalbox", False):
        return
    connect.connect_all = _before(connect.connect_all)  # type: ignore[assignment]
    operations.run_ops = _around(operations.run_ops)
    if "pyinfra_cli.cli" in sys.modules:
        cli: Any = sys.modules["pyinfra_cli.cli"]
        cli.connect_all, cli.run_ops = connect.connect_all, operations.run_ops


install()
