"""What pyinfra works out is the same, with our shortcuts and without."""

from __future__ import annotations

import sys
from typing import Any

import pyinfra
import pytest
from pyinfra.api import Config, Inventory, State, arguments, util
from pyinfra.api.exceptions import ArgumentTypeError
from pyinfra.api.host import Host

from signalbox.engine import overhead

original_order = util.get_operation_order_from_stack
overhead.install()
operation = sys.modules["pyinfra.api.operation"]  # pyinfra.api has a function of this name
ours, original = arguments.pop_global_arguments, arguments.pop_global_arguments.__wrapped__
MUTABLE = {"PATH": "/bin"}


def host_with(all_data: dict[str, Any], group: dict[str, Any], own: dict[str, Any], given: dict[str, Any]) -> Host:
    inventory = Inventory(([("box", own)], all_data), override_data=given, boxes=(["box"], group))
    State(inventory, Config())
    return inventory.get_host("box")


LAYERS = {
    "nothing": ({}, {}, {}, {}),
    "all": ({"_sudo": True}, {}, {}, {}),
    "a group over all": ({"_sudo_user": "a"}, {"_sudo_user": "b"}, {}, {}),
    "the host over its group": ({}, {"_retries": 1}, {"_retries": 2}, {}),
    "the command line over the host": ({}, {}, {"_timeout": 1}, {"_timeout": 2}),
    "something mutable": ({"_env": MUTABLE}, {}, {}, {}),
    "keys that are no arguments": ({"lanes": {"a": 1}}, {"_mine": 1}, {}, {}),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("call", [{}, {"_sudo": False, "_sudo_user": "c", "other": 1}])
def test_global_arguments_are_the_same(name: str, call: dict[str, Any]) -> None:
    host = host_with(*LAYERS[name])
    data = host.data
    host.current_deploy_data = {"_chdir": "/deploy"}
    seen = []
    for function in (original, ours):
        kwargs = dict(call)
        seen.append((function(host.state, host, kwargs), kwargs))
    assert seen[0] == seen[1]
    assert seen[1][0][0]["_chdir"] == "/deploy"
    assert host.data is data


def test_no_caller_can_change_the_hosts_data() -> None:
    host = host_with({"_env": MUTABLE}, {}, {}, {})
    ours(host.state, host, {})[0]["_env"]["EXTRA"] = "x"
    assert MUTABLE == {"PATH": "/bin"}
    assert "EXTRA" not in ours(host.state, host, {})[0]["_env"]


def test_what_is_set_during_a_deploy_counts() -> None:
    host = host_with({}, {}, {"_sudo_user": "before"}, {})
    assert ours(host.state, host, {})[0]["_sudo_user"] == "before"
    host.data._sudo_user = "after"
    assert ours(host.state, host, {})[0]["_sudo_user"] == "after"


def test_a_wrong_type_is_told_and_leaves_the_hosts_data() -> None:
    host = host_with({}, {}, {}, {})
    data = host.data
    with pytest.raises(ArgumentTypeError):
        ours(host.state, host, {"_sudo": "yes"})
    assert host.data is data


def test_every_user_of_it_has_it() -> None:
    for name in ("arguments", "deploy", "facts", "operation"):
        assert sys.modules[f"pyinfra.api.{name}"].pop_global_arguments is ours


@pytest.mark.parametrize("deploy", [None, __file__, "elsewhere.py"])
@pytest.mark.parametrize("as_program", [True, False])
def test_the_order_of_operations_is_the_same(
    deploy: str | None, as_program: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = host_with({}, {}, {}, {}).state
    state.current_deploy_filename, state.current_op_file_number = deploy, 3
    monkeypatch.setattr(pyinfra, "is_cli", as_program)
    ours, theirs = (function(state) for function in (operation.get_operation_order_from_stack, original_order))
    assert ours == theirs
    if deploy != "elsewhere.py":
        assert len(ours) > as_program
