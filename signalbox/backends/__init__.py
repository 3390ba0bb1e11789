"""Kinds of model servers: one module a kind, and no branch on a kind anywhere else.

A new kind is a module here with `litellm_params`, `probe` and `native_anthropic` (see `shape.Kind`)
and its line below.
"""

from __future__ import annotations

from typing import Any

from signalbox.backends import anthropic, azure_foundry, lm_studio
from signalbox.backends.shape import Kind, Loaded, Probe
from signalbox.settings.records import Backend, Cloud

BACKENDS: dict[str, Kind[Backend]] = {"lm_studio": lm_studio}  # servers on your own network
CLOUDS: dict[str, Kind[Cloud]] = {"anthropic": anthropic, "azure_foundry": azure_foundry}  # accounts that bill
_KINDS: dict[str, Kind[Any]] = {**BACKENDS, **CLOUDS}


def kind_of(record: Backend | Cloud) -> Kind[Any]:
    """Return the kind of an enabled record. Raises KeyError for one that no module here serves."""
    return _KINDS[str(record.kind)]


__all__ = ["BACKENDS", "CLOUDS", "Kind", "Loaded", "Probe", "kind_of"]
