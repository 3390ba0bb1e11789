"""What runs beside the hosts, on the bridge address only: simulated model servers and a mirror.

Each is a package with start(bind, state), stop(state) and settings(bind, state); see SERVICES.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.lab.instance import Lab, locked
from tests.lab.machine import LabError, step

SERVICES = ("simulators", "mirror")


def start(lab: Lab) -> None:
    """Start what does not run yet; returns when all of it answers."""
    with locked(f"{lab.name}.services"):
        for name in SERVICES:
            state = _state(lab, name)
            state.mkdir(parents=True, exist_ok=True)
            try:
                with step(f"starting the {name}"):
                    _module(name).start(lab.ipv4(1), state)
            except (RuntimeError, OSError) as error:
                raise LabError(f"the {name} did not start (hosts can do without: --no-services): {error}") from error
            _started(state).touch()


def stop(lab: Lab) -> None:
    """Stop what runs; nothing running is no error."""
    with locked(f"{lab.name}.services"):
        for name in SERVICES:
            if _state(lab, name).is_dir():
                _module(name).stop(_state(lab, name))


def lab_settings() -> dict[str, Any]:
    """Return the settings that make hosts use this lab: sections as in group_data/all.py, literals only."""
    lab = Lab.current()
    merged: dict[str, Any] = {"service_user": {"authorized_keys": [str(lab.key.with_suffix(".pub"))]}}
    for name in SERVICES:
        if _started(_state(lab, name)).exists():
            merged = _merge(merged, _module(name).settings(lab.ipv4(1), _state(lab, name)))
    return merged


def simulator(name: str) -> str:
    """Return the URL of one of the simulated servers, such as "foundry"."""
    return str(_module("simulators").urls(_state(Lab.current(), "simulators"))[name])


def environment() -> dict[str, str]:
    """Return the secrets that the simulators accept, by the names under which a deploy looks for them."""
    return dict(_module("simulators").credentials())


def _state(lab: Lab, name: str) -> Path:
    return lab.state / "services" / name


def _started(state: Path) -> Path:
    return state.with_suffix(".started")


def _module(name: str) -> ModuleType:
    return import_module(f"tests.lab.{name}")


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return `low` with `high` merged over it, mapping by mapping."""
    result = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merge(result[key], value) if both else value
    return result
