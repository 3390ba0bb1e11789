"""What Signalbox does inside pyinfra, however pyinfra was started: its entry point in `pyinfra.connectors`.

pyinfra loads every connector entry point when it makes an inventory, so before it connects to anything.
That makes this the one place for a faster transport, for settings that are checked before a host is
touched, and for the host keys that the inventory names.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import click
import gevent
from pyinfra.api import Host, State, connect, operations
from pyinfra.api.exceptions import InventoryError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.context import ctx_state

from signalbox.desired.secret_names import all_secrets
from signalbox.engine import askpass, failures, isolation, limits, output, overhead, transport
from signalbox.engine.deploy_scope import applied, commit, end
from signalbox.engine.readahead import patches as readahead
from signalbox.engine.recognition import is_ours, ours_in
from signalbox.engine.watching import present, raw_log
from signalbox.secrets import SecretError
from signalbox.settings import settings_for, validate_run
from signalbox.settings.layers import defaults, layers_of, merged

# Files of ours that change nothing that a deploy would.
_NO_DEPLOYS = ("verify.py", "deploys/lock.py")
# Deploy files that place no secret, and must work where one is missing.
_WITHOUT_SECRETS = ("remove.py", "deploys/gateway_key.py", "deploys/lock.py", "deploys/usage.py")
_OURS = Path(__file__).parents[1] / "commands" / "deploys"


# Hear of every deploy of this process, as pyinfra's own callbacks do; it forgets those with each State.
watchers: list[BaseStateCallback] = []
_known: WeakKeyDictionary[Inventory, bool] = WeakKeyDictionary()  # whether a run is ours, by its inventory


class Hooks(BaseConnector):
    """Not a connector: importing this module is its purpose."""

    handles_execution = False

    @staticmethod
    def make_names_data(name: str | None) -> Any:
        """Refuse `@signalbox` as an inventory."""
        raise InventoryError(f"@signalbox/{name or ''} is no inventory; name a file such as inventory.py")


def _given(name: str) -> Any:
    context = click.get_current_context(silent=True)
    return context.params.get(name) if context else None


def _operations() -> list[str]:
    """Return what pyinfra was given after the inventory."""
    return [str(name) for name in _given("operations") or ()]


def _deploys() -> list[str]:
    """Return the deploy files that pyinfra was called with; none for `exec`, `fact` and the like."""
    given = _operations()
    return given if all(name.endswith(".py") for name in given) else []


def _file(deploy: str) -> str:
    """Return the name of a deploy file; that of one in signalbox/deploys starts with `deploys/`."""
    path = Path(deploy)
    return f"{_OURS.name}/{path.name}" if path.resolve().parent == _OURS else path.name


def _all_in(deploys: Sequence[str], files: Sequence[str]) -> bool:
    return all(_file(deploy) in files for deploy in deploys)


def _confirm(original: Callable[[str], bool]) -> Callable[[str], bool]:
    @wraps(original)
    def confirm(message: str) -> bool:
        state: State = ctx_state.get()  # type: ignore[no-untyped-call]
        if not _is_signalbox(state.inventory):
            return original(message)
        deploys = _deploys()
        if deploys and _all_in(deploys, ("verify.py",)) and not any(state.ops.values()):
            return True  # it only looks: that needs no leave
        try:
            return present.agreed(message) if present.is_shown() else original(message)
        except EOFError:
            if message.endswith("continue?"):
                return True  # a host has failed, alone; nobody is there who would have the others stop
            raise failures.RunEndedError("nobody is there to answer; -y goes on unasked") from None

    return confirm


def _is_signalbox(inventory: Inventory, operations: Sequence[str] | None = None) -> bool:
    if inventory not in _known:
        given = str(_given("inventory") or "")
        beside = [Path(given).parent] if given and Path(given).exists() else []
        _known[inventory] = is_ours(inventory, _operations() if operations is None else operations, [Path(), *beside])
    return _known[inventory]


def _check_secrets(hosts: list[Host], deploys: Sequence[str]) -> None:
    """Have every secret of these hosts at hand, or end the run with all that is missing, told at once."""
    missing = []
    for host in hosts:
        settings = settings_for(host)
        sudo = settings.connection.sudo_password
        without = _all_in(deploys, _WITHOUT_SECRETS)
        for name in ([sudo] if sudo else []) if without else all_secrets(settings):
            try:
                raw_log.hide([settings.secret(name).reveal()])
            except SecretError as error:
                missing.append(str(error))
    if missing:
        raise SecretError("secrets are missing; nothing was done on any host\n  " + "\n  ".join(missing))


def check(state: State, *deploys: str) -> None:
    """Validate the settings of all selected hosts, and have their secrets at hand; a run that is ours alone.

    Raises:
        SettingsError, SecretError: with all that is wrong; nothing was asked of any host.
    """
    if _is_signalbox(state.inventory, deploys):
        hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
        validate_run(state.inventory, hosts)
        if not _all_in(deploys, ("verify.py",)):
            _check_secrets(hosts, deploys)


@cache
def _own_directory() -> tempfile.TemporaryDirectory[str]:
    """Return this process's directory, which goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="signalbox-")


def _as_shipped(host: Host) -> None:
    """Have pyinfra reach a host as the shipped group_data/all.py says where the project's own does not: strictly."""
    for key, value in defaults().items():
        if key in host.connector.data and host.data.get(key) is None:
            setattr(host.data, key, value)
            # The connector has its own copy of the host's data, made before anything connects.
            host.connector.data[key] = value


def _trust_host_key(host: Host) -> None:
    """Let a host with `connection.host_key` be reached with that key and no other."""
    connection = merged(layers_of(host.inventory, host.name)).get("connection")
    key = connection.get("host_key") if isinstance(connection, dict) else None
    if not isinstance(key, str) or not isinstance(host.connector, SSHConnector):
        return
    address = host.data.get("ssh_hostname") or host.name
    port = int(host.data.get("ssh_port") or 22)
    known_hosts = Path(_own_directory().name, host.name.replace("/", "_"))
    known_hosts.write_text(f"{address if port == 22 else f'[{address}]:{port}'} {key}\n")
    host.connector.data["ssh_known_hosts_file"] = str(known_hosts)
    host.connector.data["ssh_strict_host_key_checking"] = "yes"


class _AskAhead(BaseStateCallback):
    """Has the facts of the last run asked again as soon as a host is connected; not after a reboot in the run."""

    @staticmethod
    def host_connect(state: State, host: Host) -> None:
        if state.current_stage == StateStage.Connect and (deploys := _deploys()):
            readahead.begin(host, deploys[0], settings_for(host).privileges())


def _meanwhile() -> None:
    """Do what every deploy needs and no host is asked for, piece by piece, so that hosts that answer are heard."""
    for deploy in _deploys():
        for module in ours_in(Path(deploy)):
            import_module(module)
            gevent.sleep(0)
    commit()


def _show(state: State, deploys: Sequence[str]) -> None:
    """Have the run shown as people watch one, but for what programs read or what only looks."""
    others = ("json_output", "debug", "debug_all", "debug_facts", "debug_operations")
    if not any(_given(name) for name in others) and not all(_file(name) in _NO_DEPLOYS for name in deploys):
        present.begin(state, raw=bool(_given("verbosity")), dry=bool(_given("dry")))


def _before(original: Callable[[State], None]) -> Callable[[State], None]:
    @wraps(original)
    def connect_all(state: State) -> None:
        output.colours()
        if _is_signalbox(state.inventory):
            isolation.guard(state)
            if deploys := _deploys():
                check(state, *deploys)
                for watcher in (_AskAhead(), *watchers):
                    state.add_callback_handler(watcher)  # type: ignore[no-untyped-call]
                _show(state, deploys)
                gevent.spawn(_meanwhile)  # hosts take their time to let us in
            for host in state.inventory:
                _as_shipped(host)
                _trust_host_key(host)
        original(state)

    connect_all.signalbox = True  # type: ignore[attr-defined]
    return connect_all


def _around(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def run_ops(state: State, *args: Any, **kwargs: Any) -> None:
        deploys = [_file(deploy) for deploy in _deploys()]
        changing = [file for file in deploys if file not in _NO_DEPLOYS]
        if not changing or not _is_signalbox(state.inventory):
            original(state, *args, **kwargs)
            return
        placing = [file for file in changing if not file.startswith(f"{_OURS.name}/")]
        with applied(state, placing[0] if placing else None):
            original(state, *args, **kwargs)
            end(state)

    return run_ops


def install() -> None:
    """Install all of it: functions are wrapped where pyinfra and where its command line look them up.

    SIGNALBOX_SPEEDUPS=off leaves out what only makes a run faster; its results are the same.
    """
    fast = os.environ.get("SIGNALBOX_SPEEDUPS") != "off"
    if fast:
        overhead.install()
    transport.install()
    askpass.install()
    limits.install()
    output.install()
    if fast:
        readahead.install()
    isolation.install()
    present.install()
    if getattr(connect.connect_all, "signalbox", False):
        return
    connect.connect_all = _before(connect.connect_all)  # type: ignore[assignment]
    operations.run_ops = _around(operations.run_ops)
    if "pyinfra_cli.cli" in sys.modules:
        cli: Any = sys.modules["pyinfra_cli.cli"]
        cli.connect_all, cli.run_ops = connect.connect_all, operations.run_ops
        cli._do_confirm = _confirm(cli._do_confirm)


install()
