"""What a simulated server with a habit answers: that the drills' servers do what the reports say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.drills.server_behaviours import ASKS, CALLS, RESULT
from tests.lab.simulators import Running, running
from tests.unit.test_simulators_kinds import BASH

RUN = [{"role": "user", "content": "run: echo hello there"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


def ask(lab: Running, habit: str, path: str = "/v1/chat/completions", **body: Any) -> requests.Response:
    lab.control.clear()
    lab.control.options("vllm", habit=habit)
    return requests.post(lab.vllm + path, json={"model": "devstral", "max_tokens": 400, **body}, timeout=20)


def events(answer: requests.Response) -> list[Any]:
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


def deltas(answer: requests.Response) -> list[Any]:
    return [choice for event in events(answer) for choice in event["choices"]]


def calls(answer: requests.Response) -> list[Any]:
    return [call for each in deltas(answer) for call in each["delta"].get("tool_calls") or ()]


def test_a_call_comes_in_pieces_whole_or_named_in_each(lab: Running) -> None:
    more = {"messages": RUN, "tools": [BASH], "stream": True}
    usual, named = calls(ask(lab, "", **more)), calls(ask(lab, "names each piece", **more))
    assert len(usual) == len(named) > 2
    assert [bool(each.get("id")) for each in usual] == [True] + [False] * (len(usual) - 1)
    assert all(each["id"] and each["function"]["name"] == "Bash" for each in named)
    whole = deltas(ask(lab, "whole calls", **more))
    ((called, finish),) = [
        (each["delta"]["tool_calls"], each["finish_reason"]) for each in whole if "tool_calls" in each["delta"]
    ]
    assert json.loads(called[0]["function"]["arguments"]) == {"command": "echo hello there"}
    assert finish == "tool_calls"


def test_vllms_own_endpoint_begins_a_block_with_each_named_piece(lab: Running) -> None:
    tool = {"name": "Bash", "input_schema": BASH["function"]["parameters"]}
    answer = ask(lab, "names each piece", "/v1/messages", messages=RUN, tools=[tool], stream=True)
    begun = [each["content_block"] for each in events(answer) if each["type"] == "content_block_start"]
    assert len([each for each in begun if each["type"] == "tool_use"]) > 2


@pytest.mark.parametrize(("habit", "finish"), [("only thinks", "stop"), ("thinks on", "length")])
def test_a_thought_may_be_all(lab: Running, habit: str, finish: str) -> None:
    told = deltas(ask(lab, habit, messages=[ASKS], stream=True))
    assert "".join(each["delta"].get("reasoning_content") or "" for each in told) == "I must look."
    assert not "".join(each["delta"].get("content") or "" for each in told)
    assert told[-1]["finish_reason"] == finish
    whole = ask(lab, habit, "/v1/messages", messages=[ASKS]).json()
    assert [block["type"] for block in whole["content"]] == ["thinking"]


def test_a_thought_may_come_between(lab: Running) -> None:
    told = deltas(ask(lab, "thinks between", messages=[ASKS], stream=True))
    kinds = [next(iter(each["delta"]), "") for each in told]
    assert kinds.index("content") < kinds.index("reasoning_content") < len(kinds) - 1 - kinds[::-1].index("content")


@pytest.mark.parametrize(
    ("habit", "refused", "taken"),
    [
        ("own ids", [ASKS, CALLS, RESULT], [ASKS]),
        ("tools first", [ASKS, CALLS, ASKS, RESULT], [ASKS, CALLS, RESULT, ASKS]),
        ("text results", [ASKS, CALLS, {**RESULT, "content": [IMAGE]}], [ASKS, CALLS, RESULT]),
    ],
)
def test_what_a_conversation_may_hold(lab: Running, habit: str, refused: list[Any], taken: list[Any]) -> None:
    assert ask(lab, habit, messages=refused).status_code == 400
    assert ask(lab, "", messages=refused).status_code == 200
    assert ask(lab, habit, messages=taken).status_code == 200


def test_ids_of_its_own_are_taken_back(lab: Running) -> None:
    (call, *_) = calls(ask(lab, "own ids", messages=RUN, tools=[BASH], stream=True))
    assert call["id"] == "functions.Bash:0"
    said = {**CALLS, "tool_calls": [{**CALLS["tool_calls"][0], "id": call["id"]}]}
    assert ask(lab, "own ids", messages=[*RUN, said, {**RESULT, "tool_call_id": call["id"]}]).status_code == 200


def test_a_model_without_tools_takes_none(lab: Running) -> None:
    assert "does not support tools" in ask(lab, "no tools", messages=RUN, tools=[BASH]).text
    assert ask(lab, "no tools", messages=RUN).status_code == 200
