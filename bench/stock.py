"""pyinfra's command line as it comes: the same deploy, without what Signalbox does inside pyinfra."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pyinfra_cli.main import main  # first: it patches the process

from pyinfra.api import connectors  # isort: skip
from signalbox.settings import run  # isort: skip

_original = connectors.entry_points


def _without_ours(**chosen: Any) -> Any:
    return [each for each in _original(**chosen) if each.name != "signalbox"]


if __name__ == "__main__":
    connectors.entry_points = _without_ours  # type: ignore[assignment]
    run.pyinfra = SimpleNamespace(is_cli=False)  # type: ignore[assignment]  # settings are refused on such a command line
    main()
