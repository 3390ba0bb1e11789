"""What a real server of llama.cpp tells of its memory: b11549 as the package `xllamacpp` has it, run for a moment.

It is the server's own code within a Python module, for processors of any age; the program of `llama_cpp.py` needs
AVX-512. `python server_log.py MODEL CONTEXT PARALLEL KV_TYPE` loads a model and ends, with that package on its path.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab import model_shapes
from tests.lab.instance import cache_directory
from tests.lab.llama_cpp import GGUF
from tests.lab.machine import LabError
from tests.lab.mirror.clients import uv_install

SERVER = "xllamacpp==2026.10.11549"
TIMEOUT = 120  # seconds; it takes about six
_LOAD = """
import os, sys, xllamacpp
wanted = xllamacpp.CommonParams()
path, context, parallel, kept, wanted.port = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4], int(sys.argv[5])
wanted.model.path, wanted.n_ctx, wanted.n_parallel, wanted.warmup = path, context * parallel, parallel, False
wanted.verbosity, wanted.hostnames, wanted.cpuparams.n_threads = 4, ["127.0.0.1"], 1
wanted.cache_type_k = wanted.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{kept.upper()}")
server = xllamacpp.Server(wanted)
os._exit(0)  # for its own end may wait for ever
"""


@dataclass(frozen=True)
class Told:
    """MiB of each kind of buffer, and how many tokens each conversation was given."""

    weights: float
    tokens: float
    state: float
    work: float
    context: int

    @property
    def total(self) -> float:
        """All of it, in MiB."""
        return self.weights + self.tokens + self.state + self.work


def packages() -> Path:
    """Return the directory with the server's package and that which writes models; fetched once."""
    path = cache_directory() / f"xllamacpp-{SERVER.rpartition('.')[2]}"
    if not (path / "done").exists():
        uv_install(path, f"{sys.version_info.major}.{sys.version_info.minor}", [GGUF], [])
        uv_install(path, f"{sys.version_info.major}.{sys.version_info.minor}", [SERVER], [], alone=True)
        (path / "done").touch()
    return path


def models(directory: Path) -> None:
    """Write the models of `model_shapes` there."""
    _run(Path(model_shapes.__file__), str(directory))


def loaded(model: Path, context: int, parallel: int, kv_type: str, port: int) -> Told:
    """Return what the server tells once it has loaded the model. Raises LabError."""
    log = _run("-c", _LOAD, str(model), str(context), str(parallel), kv_type, str(port))
    sizes = {name: sum(map(float, re.findall(rf" {name} buffer size = +([\d.]+) MiB", log)))
             for name in ("model", "output", "KV", "RS", "compute")}  # fmt: skip
    given = re.search(r"n_ctx_slot = (\d+)", log)
    if not given or not sizes["compute"]:
        raise LabError(f"the server did not load {model.name}: {log[-1500:]}")
    work = sizes["compute"] + sizes["output"]
    return Told(sizes["model"], sizes["KV"], sizes["RS"], work, int(given[1]))


def _run(*words: object) -> str:
    command = ["env", f"PYTHONPATH={packages()}", sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT, cwd="/")
    if done.returncode:
        raise LabError(f"{' '.join(command[:4])[:200]} failed: {done.stderr[-1500:]}")
    return done.stdout + done.stderr
