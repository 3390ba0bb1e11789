"""What Signalbox relies on of pyinfra's and paramiko's insides: all of it is named here, and as it was when read."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.operation import OperationMeta

PROJECT = Path(__file__).resolve().parents[2]
READ = "3.10."  # the versions of pyinfra in which these were read
# What is replaced or called, with its parameters.
INSIDES = {
    "paramiko.channel.Channel._wait_for_event": "self",
    "paramiko.channel.Channel.close": "self",
    "paramiko.sftp_client.SFTPClient.__init__": "self sock",
    "paramiko.transport.Transport.__init__": "self sock default_window_size default_max_packet_size gss_kex "
    "gss_deleg_creds disabled_algorithms server_sig_algs strict_kex packetizer_class",
    "paramiko.transport.Transport._send_user_message": "self data",
    "paramiko.transport.Transport.open_channel": "self kind dest_addr src_addr window_size max_packet_size timeout",
    "pyinfra.api.arguments.all_global_arguments": "",
    "pyinfra.api.arguments.pop_global_arguments": "state host kwargs",
    "pyinfra.api.command.FunctionCommand.__init__": "self function args func_kwargs **kwargs",
    "pyinfra.api.connect.connect_all": "state",
    "pyinfra.api.facts._get_fact": "state host cls args kwargs ensure_hosts apply_failed_hosts",
    "pyinfra.api.facts.log_error_or_warning": "host ignore_errors description continue_on_error exception",
    "pyinfra.api.host.Host.disconnect": "self",
    "pyinfra.api.host.Host.get_file": "self *args **kwargs",
    "pyinfra.api.host.Host.put_file": "self *args **kwargs",
    "pyinfra.api.host.Host.rsync": "self *args **kwargs",
    "pyinfra.api.host.Host.run_shell_command": "self *args **kwargs",
    "pyinfra.api.operations._run_host_op": "state host op_hash",
    "pyinfra.api.operations._run_host_ops": "state host progress",
    "pyinfra.api.operations.log_host_command_error": "host e timeout",
    "pyinfra.api.operations.print_host_combined_output": "host output",
    "pyinfra.api.operations.run_ops": "state serial no_wait",
    "pyinfra.api.state.State.fail_hosts": "self hosts_to_fail activated_count",
    "pyinfra.api.util.get_operation_order_from_stack": "state",
    "pyinfra.connectors.ssh.SSHConnector.connect": "self",
    "pyinfra.connectors.ssh_util.getpass": "prompt stream",
    "pyinfra.connectors.util.getpass": "prompt stream",
    "pyinfra.connectors.util.make_unix_command_for_host": "state host command **command_arguments",
    "pyinfra.connectors.util.read_output_buffers": "stdout_buffer stderr_buffer timeout print_output print_prefix",
    "pyinfra.local.shell": "commands splitlines ignore_errors print_output print_input",
    "pyinfra_cli.cli._do_confirm": "msg",
    "pyinfra_cli.cli.print_meta": "state",
    "pyinfra_cli.cli.print_results": "state",
    "pyinfra_cli.exceptions.WrappedError.show": "self file",
    "pyinfra_cli.inventory._get_imported_names": "filename",
    "pyinfra_cli.log.LogFormatter.format": "self record",
    "pyinfra_cli.util._parallel_load_hosts": "state callback name",
}
ATTRIBUTES = {"_hash", "_maybe_is_change"}  # of pyinfra.api.operation.OperationMeta
OF_THE_GRAMMAR = {"_inner"}  # of an operation, as pyinfra's documentation has it for operations within operations


def of_pyinfra(name: str) -> Any:
    """Return what has this dotted name; raises AttributeError or KeyError where it is not there."""
    parts = name.split(".")
    while parts:
        try:
            found: Any = importlib.import_module(".".join(parts))
        except ImportError:
            parts.pop()
            continue
        for part in name.split(".")[len(parts) :]:
            found = vars(found)[part] if isinstance(found, type) else getattr(found, part)
        return found
    raise AttributeError(name)


def changed(name: str, parameters: str) -> str | None:
    """Say what is no longer as it was; None: nothing."""
    told = f"pyinfra {version('pyinfra')}, paramiko {version('paramiko')}: {name}"
    try:
        function = inspect.unwrap(of_pyinfra(name))
    except (AttributeError, KeyError):
        return f"{told} is gone: look at who uses it in signalbox/engine, and at what pyinfra does in its place"
    stars = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    now = " ".join(stars.get(each.kind, "") + each.name for each in inspect.signature(function).parameters.values())
    return None if now == parameters else f"{told} takes {now!r}, and signalbox/engine was written for {parameters!r}"


@pytest.mark.parametrize("name", INSIDES)
def test_what_we_rely_on_is_as_it_was(name: str) -> None:
    assert not (said := changed(name, INSIDES[name])), said


def test_another_pyinfra_is_told_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = importlib.import_module("pyinfra.api.facts")
    monkeypatch.setattr(facts, "_get_fact", lambda other: other)
    assert "_get_fact takes 'other', and signalbox/engine was written for" in str(
        changed("pyinfra.api.facts._get_fact", INSIDES["pyinfra.api.facts._get_fact"])
    )
    monkeypatch.delattr(facts, "_get_fact")
    assert "_get_fact is gone: look at who uses it" in str(changed("pyinfra.api.facts._get_fact", ""))


def test_it_is_a_pyinfra_in_which_these_were_read() -> None:
    assert version("pyinfra").startswith(READ), f"read pyinfra {version('pyinfra')}, then write it down here"
    assert {*OperationMeta("x", None).__dict__} >= ATTRIBUTES


REPLACED = """
import json, sys, types
import pyinfra_cli.cli
from signalbox.engine import hooks
hooks.install()
theirs, found = ("pyinfra", "paramiko"), set()
for name, module in list(sys.modules.items()):
    if name.startswith(theirs):
        classes = [each for each in vars(module).values() if isinstance(each, type)]
        for owner in (module, *(each for each in classes if each.__module__.startswith(theirs))):
            for attribute, value in list(vars(owner).items()):
                code = getattr(value, "__code__", None)
                if isinstance(code, types.CodeType) and "/signalbox/" in code.co_filename:
                    found.add(attribute)
print(json.dumps(sorted(found)))
"""


def test_all_that_is_replaced_is_named() -> None:
    """In a process of its own, in which pyinfra's command line comes first."""
    command = [sys.executable, "-W", "ignore", "-c", REPLACED]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert {*json.loads(done.stdout)} == {name.rpartition(".")[2] for name in INSIDES} - CALLED


# These are called or remembered, and stay what they are.
CALLED = {"all_global_arguments", "_get_imported_names"}


def private() -> Iterator[tuple[str, str]]:
    """Yield the private attributes that our modules take from what is not theirs: (file, name)."""
    for path in (PROJECT / "signalbox").rglob("*.py"):
        folder = path.relative_to(PROJECT / "signalbox").parts[0]
        if folder == "host":
            continue  # it knows no pyinfra
        text = path.read_text()
        own = {*re.findall(r"(?:def|class) (_\w+)", text), *re.findall(r"self\.(_\w+)", text)}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and re.fullmatch(r"_[a-z]\w*", node.attr) and node.attr not in own:
                yield folder, node.attr


OTHERS = {"_exit", "_getframe", "_replace", "_fields", "_asdict"}  # of the standard library, which documents them


def test_all_that_is_private_of_others_is_named_and_used_in_engine_alone() -> None:
    known = ATTRIBUTES | {name.rpartition(".")[2] for name in INSIDES}
    found = {each for each in private() if each[1] not in OTHERS | OF_THE_GRAMMAR}
    assert {name for _, name in found} <= known
    assert {folder for folder, _ in found} <= {"engine"}
