"""The inventories of examples/, with their placeholders filled in."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "examples"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))
FILLED = {
    "<LMSTUDIO_IP>": "192.168.1.20",
    "<OLLAMA_IP>": "192.168.1.21",
    "<LLAMA_CPP_IP>": "192.168.1.22",
    "<VLLM_IP>": "192.168.1.23",
    "<LOCAL_MODEL_ID>": "qwen/qwen3.6-35b-a3b",
    "<FOUNDRY_RESOURCE>": "myfoundry",
    "<SONNET_DEPLOYMENT>": "claude-sonnet-4-6",
    "<OPUS_DEPLOYMENT>": "claude-opus-4-8",
    "<HAIKU_DEPLOYMENT>": "claude-haiku-4-5",
}


def example(name: str) -> dict[str, Any]:
    """The settings of this example's hosts, as a person would have filled them in."""
    _, data = runpy.run_path(str(FOLDER / f"{name}.py"))["claude_hosts"]
    return dict(_filled(data))


def _filled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if isinstance(value, str):
        for placeholder, given in FILLED.items():
            value = value.replace(placeholder, given)
    return value
