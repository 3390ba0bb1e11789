"""What a model that sees no images gets in their place, by whatever its server tells of it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway_plugins import plugins as plugins
from tests.unit.test_probe import asked, whole

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
PLAIN = {"type": "document", "source": {"type": "text", "data": "words"}}
TEXT = {"type": "text", "text": "what is this?"}
READ = {"type": "tool_result", "tool_use_id": "a", "content": [IMAGE, TEXT]}
WORDS = {"type": "text", "text": "[an image was left out: local does not read images]"}
LOCAL = {"id": "lmstudio/local", "probe_url": "http://x"}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.fixture
def request_(plugins: Any) -> Any:
    request = SimpleNamespace(tried=[], mended=set(), headers={}, lane=None, may=None)
    plugins.request_record._current.set(request)
    yield request
    plugins.request_record._current.set(None)


def mended(plugins: Any, messages: Any, **info: Any) -> Any:
    given = {"model_info": LOCAL | info, "messages": messages}
    told = asyncio.run(plugins.failover.plugin.async_pre_call_deployment_hook(given, None))
    return (told or given)["messages"]


def test_words_stand_where_a_tool_or_a_person_has_put_an_image(plugins: Any, request_: Any) -> None:
    plugins.images.refused("lmstudio/local", "Model does not support images. Please use a model that does.")
    said = [user(TEXT, IMAGE), {"role": "assistant", "content": "hm"}, user(READ), {"role": "user", "content": "plain"}]
    wanted = [user(TEXT, WORDS), said[1], user({**READ, "content": [WORDS, TEXT]}), said[3]]
    assert mended(plugins, said) == wanted
    assert request_.mended == {"images"}
    assert said[0]["content"][1] is IMAGE, "a fallback that sees gets what was sent"


@pytest.mark.usefixtures("request_")
def test_no_local_server_reads_a_pdf_and_a_cloud_gets_all(plugins: Any) -> None:
    (told,) = mended(plugins, [user(PDF, PLAIN, IMAGE)])
    assert told["content"][0]["text"] == "[a document was left out: local does not read PDF files]"
    assert told["content"][1:] == [PLAIN, IMAGE], "of a server that does not tell, one that refuses nothing sees"
    assert mended(plugins, [user(PDF, IMAGE)], id="anthropic/x", probe_url=None) == [user(PDF, IMAGE)]


@pytest.mark.usefixtures("request_")
@pytest.mark.parametrize(
    ("answer", "sight", "sees"),
    [
        ({"models": [{"key": "m", "capabilities": {"vision": False}}]}, {"models": "models", "names": ["key"]}, False),
        ({"models": [{"key": "m", "capabilities": {"vision": True}}]}, {"models": "models", "names": ["key"]}, True),
        ({"models": [{"key": "n", "capabilities": {"vision": False}}]}, {"models": "models", "names": ["key"]}, True),
        ({"capabilities": {"vision": ["completion", "vision"]}}, {}, True),
        ({"capabilities": {"vision": ["completion", "tools"]}}, {}, False),
        ({"error": "model is not loaded"}, {}, True),
        ([1], {}, True),
    ],
)
def test_the_server_is_asked_once_an_image_is_there(plugins: Any, answer: Any, sight: Any, sees: bool) -> None:
    where = {"secret": None, "model": "m", "models": None, "names": [], "vision": "capabilities.vision", **sight}

    async def look(url: str) -> Any:
        info = LOCAL | {"sight": {**where, "url": url}}
        assert await plugins.images.unread([user(TEXT)], info) == set()
        assert not plugins.images._known
        return await plugins.images.unread([user(IMAGE)], info)

    found, _ = asked(lambda: whole(answer), look)
    assert found == (set() if sees else {"image"})


def test_ollama_is_asked_with_the_models_name(plugins: Any) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0])
        seen.append(await reader.read(100))
        body = json.dumps({"capabilities": ["completion"]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def look() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/show"
        sight = {"url": url, "secret": None, "model": "m", "models": None, "names": [], "vision": "capabilities"}
        async with server:
            return await plugins.probe.sees({**sight, "body": {"model": "m"}})

    assert asyncio.run(look()) is False
    assert seen == [b"POST /api/show HTTP/1.1", b'{"model": "m"}']


@pytest.mark.parametrize(
    "words",
    [
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "Model does not support images. Please use a model that does.",
        "devstral is not a multimodal model",
        "this model is missing data required for image input",
    ],
)
def test_what_a_server_refuses_once_it_is_not_sent_again(plugins: Any, request_: Any, words: str) -> None:
    assert mended(plugins, [user(IMAGE)]) == [user(IMAGE)]
    error = type("Error", (Exception,), {"status_code": 500})(words)
    given = {"model_info": LOCAL}
    asyncio.run(plugins.failover.plugin.async_post_call_failure_deployment_hook(given, error, None))
    assert request_.tried[0].why == "bad_request"
    assert not plugins.failover.plugin._resting, "the server is well, and the next request is another"
    assert mended(plugins, [user(IMAGE)]) == [user(WORDS)]


def test_other_refusals_say_nothing_of_images(plugins: Any) -> None:
    for words in ("Model does not support tools", "image exceeds 5 MB maximum", "the image was pulled", ""):
        assert not plugins.images.refused("lmstudio/local", words)
