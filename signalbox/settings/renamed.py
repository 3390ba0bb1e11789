"""Settings that have another name than in earlier versions: they are refused, with their successor.

By their dotted paths, a record's own name written as *: `{"gateway.old": "gateway.new", "lanes.*.old": "lanes.*.new"}`.
An entry stays for good: people upgrade from any version.
"""

from __future__ import annotations

from signalbox.settings.layers import Path

RENAMED: dict[str, str] = {}


def successor(path: Path) -> str:
    """Return what a setting is called now; "" where it was never called otherwise."""
    parts = tuple(map(str, path))
    for old, new in RENAMED.items():
        pattern = old.split(".")
        if len(pattern) == len(parts) and all(a in ("*", b) for a, b in zip(pattern, parts, strict=True)):
            own = iter(part for part, name in zip(parts, pattern, strict=True) if name == "*")
            return ".".join(next(own, "*") if name == "*" else name for name in new.split("."))
    return ""
