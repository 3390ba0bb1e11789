"""The arithmetic of memory against a real server's own log, of four architectures with the heads of real models."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from signalbox.desired.model_memory.from_gguf import shape_of
from signalbox.desired.model_memory.gguf import head_of
from signalbox.desired.model_memory.need import MIB, Wish, need_of
from tests.lab import model_shapes, server_log


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    server_log.models(path)
    return path


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


WISHES = [Wish(65536), Wish(32768, 3), Wish(65536, 1, "q8_0"), Wish(100_000)]


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: f"{wish.parallel}x{wish.context}-{wish.kv_type}")
@pytest.mark.parametrize("name", sorted(model_shapes.MODELS))
def test_it_needs_what_the_server_takes(directory: Path, name: str, wish: Wish) -> None:
    path = directory / f"{name}.gguf"
    with path.open("rb") as file:
        shape = shape_of(head_of(file.read(2 << 20)))
    need = need_of(shape, path.stat().st_size, wish)
    told = server_log.loaded(path, wish.context, wish.parallel, wish.kv_type, _free_port())
    assert wish.context <= told.context < wish.context + 256
    assert need.tokens / MIB == pytest.approx(told.tokens, rel=0.02)
    assert need.state / MIB == pytest.approx(told.state, rel=0.02)
    assert need.weights / MIB == pytest.approx(told.weights, rel=0.01)
    assert told.total <= need.total / MIB <= 1.15 * told.total, (need, told)
