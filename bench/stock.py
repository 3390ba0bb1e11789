"""pyinfra's command line as it comes: the same deploy, without what Signalbox does inside pyinfra."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

main = import_module("pyinfra_cli.main").main  # first: it patches the process

from pyinfra.api import connectors  # noqa: E402

from signalbox.settings import run  # noqa: E402

_original = connectors.entry_points


def _without_ours(**chosen: Any) -> Any:
    return [each for each in _original(**chosen) if each.name != "signalbox"]


if __name__ == "__main__":
    vars(connectors)["entry_points"] = _without_ours
    vars(run)["pyinfra"] = SimpleNamespace(is_cli=False)  # settings are refused on such a command line
    main()
