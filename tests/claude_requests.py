"""Requests of the real Claude Code, made anew of what was recorded of them; their words mean nothing."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_suffix(".yaml")


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """Return what was recorded, by its kind."""
    return {each["kind"]: each for each in yaml.safe_load(_FILE.read_text())}


def request(kind: str) -> dict[str, Any]:
    """Return the body of such a request."""
    shape = recorded()[kind]
    body: dict[str, Any] = {
        "model": shape["model"],
        "messages": [{"role": role, "content": _content(content)} for role, content in shape["messages"]],
        "system": [{"type": "text", "text": _words(length)} for length in shape["system"]],
        "tools": [_tool(each) for each in shape["tools"]],
        "max_tokens": 32000,
        "stream": True,
    }
    return body | ({"thinking": {"type": shape["thinking"]}} if shape["thinking"] else {})


def _tool(shape: int | str) -> dict[str, Any]:
    if isinstance(shape, str):
        return {"type": shape, "name": shape.rpartition("_")[0]}
    tool = {"name": "Tool", "input_schema": {"type": "object"}, "description": ""}
    return tool | {"description": _words(max(shape - len(json.dumps(tool)), 0))}


def _content(shape: Any) -> Any:
    return [_block(each) for each in shape] if isinstance(shape, list) else _words(shape["text"])


def _block(shape: dict[str, Any]) -> dict[str, Any]:
    if "text" in shape:
        return {"type": "text", "text": _words(shape["text"])}
    if "image" in shape:
        source = {"type": "base64", "media_type": "image/png", "data": "A" * shape["image"]}
        return {"type": "image", "source": source}
    if "tool_use" in shape:
        return {
            "type": "tool_use",
            "id": "toolu_1",
            "name": shape["tool_use"],
            "input": {"text": _words(shape["size"])},
        }
    inner = shape["tool_result"]
    content = [_block(each) for each in inner] if isinstance(inner, list) else _words(inner)
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


def _words(length: int) -> str:
    return ("lorem ipsum " * (length // 12 + 1))[:length]
