"""Model servers are told apart by what they answer, with the models and the context that they tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalbox.init import model_servers
from signalbox.secrets import Secret
from tests.lab.simulators import credentials
from tests.lab.simulators.service import Running, running

KINDS = {
    "lmstudio": "lm_studio",
    "ollama": "ollama",
    "llamacpp": "llama_cpp",
    "vllm": "vllm",
    "webui": "openai_compatible",
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(simulated: Running) -> None:
    simulated.control.clear()


def _url(simulated: Running, name: str) -> str:
    url = str(getattr(simulated, name))
    return f"{url}/api" if name == "webui" and not url.endswith("/api") else url


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_each_kind_is_known_by_its_answers(simulated: Running, name: str, kind: str) -> None:
    token = Secret(credentials()["WEBUI_KEY"]) if name == "webui" else None
    (found,) = model_servers.find(_url(simulated, name), token)
    assert found.kind == kind
    assert found.models
    assert not found.locked
    assert (found.models[0].context or 0) >= 4096 or kind in ("openai_compatible", "ollama")


def test_models_that_do_not_chat_are_not_offered(simulated: Running) -> None:
    (found,) = model_servers.find(str(simulated.lmstudio))
    assert "text-embedding-nomic-embed-text-v1.5" not in [each.id for each in found.models]
    assert len(found.models) > 1


def test_a_server_that_wants_a_token_is_found_and_locked(simulated: Running) -> None:
    (found,) = model_servers.find(_url(simulated, "webui"))
    assert found.locked
    assert not found.models


@pytest.mark.parametrize("name", ["anthropic", "mistral"])
def test_a_cloud_is_no_server_of_ones_own_that_tells_its_context(simulated: Running, name: str) -> None:
    assert all(server.locked for server in model_servers.find(str(getattr(simulated, name))))


def test_nobody_there() -> None:
    assert model_servers.find("http://127.0.0.1:9") == []


def test_the_one_with_most_context_is_named_first(simulated: Running) -> None:
    (found,) = model_servers.find(_url(simulated, "lmstudio"))
    contexts = [model.context or 0 for model in found.models]
    assert contexts == sorted(contexts, reverse=True)
    assert contexts[0] >= 32768


def test_found_by_an_address_alone_means_the_usual_ports_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = model_servers._Answers.get

    def get(self: model_servers._Answers, url: str) -> object:
        asked.append(url)
        return original(self, url)

    monkeypatch.setattr(model_servers._Answers, "get", get)
    model_servers.find("127.0.0.1")
    assert {url.split("/")[2] for url in asked} == {
        f"127.0.0.1:{port}" for port in ("1234", "11434", "8080", "8000", "3000")
    }
