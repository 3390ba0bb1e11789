"""claude-switch continue: which conversation goes on where, and which does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

from signalbox.host.shared import output
from tests.unit.test_claude_switch import bash, switching_host  # noqa: F401 (the fixture host)
from tests.unit.test_launcher import Host


def conversation(host: Host, lane: str, *entries: dict[str, object], name: str = "0f97") -> Path:
    folder = "".join(each if each.isalnum() else "-" for each in str(host.home))
    path = host.home / f".claude-{lane}/projects/{folder}/{name}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def said(uuid: str, parent: str, content: list[dict[str, str]], tokens: int) -> dict[str, object]:
    usage = {"input_tokens": tokens - 10, "output_tokens": 10}
    return {
        "type": "assistant",
        "uuid": uuid,
        "parentUuid": parent,
        "message": {"content": content, "usage": usage},
    }


def test_a_conversation_goes_on_in_another_lane_without_its_thinking(host: Host) -> None:
    thought = said("b", "a", [{"type": "thinking", "thinking": "x", "signature": "of another model"}], 100)
    answered = said("c", "b", [{"type": "text", "text": "42"}], 100)
    conversation(host, "local", {"type": "user", "uuid": "a", "parentUuid": None}, thought, answered)
    done = bash(host, "claude-switch continue cloud -- -p more", SEEN=str(host.home / "seen"))
    assert done.returncode == 0, done.stderr
    assert host.seen()[0] == ["--resume", "0f97", "-p", "more"]
    (copy,) = host.home.glob(".claude-cloud/projects/*/0f97.jsonl")
    entries = [json.loads(line) for line in copy.read_text().splitlines()]
    assert [(entry["uuid"], entry["parentUuid"]) for entry in entries] == [("a", None), ("c", "a")]


def test_a_conversation_that_does_not_fit_stays(host: Host) -> None:
    conversation(host, "cloud", said("a", "", [{"type": "text", "text": "long"}], 30000))
    done = bash(host, "claude-switch continue local")
    assert done.returncode == output.EX_CONFIG
    assert "holds 30000 tokens and local has a context of 32768, 4096 of them for the answer" in done.stderr


def test_what_the_model_has_loaded_now_is_what_it_must_fit_into(host: Host) -> None:
    conversation(host, "cloud", said("a", "", [{"type": "text", "text": "long"}], 40000))
    lane = host.records["lanes"]["local"]
    lane["context"] = 131072
    url = f"{host.records['gateway']['url']}/loaded"
    lane["readings"] = [lane["readings"][0] | {"url": url, "models": None, "names": [], "context": "n"}]
    host.write()
    done = bash(host, "claude-switch continue local", SEEN=str(host.home / "seen"))
    assert done.returncode == output.EX_CONFIG
    assert "holds 40000 tokens and local has a context of 36000, 4096 of them for the answer" in done.stderr


def test_the_shells_own_conversation_goes_on_and_never_the_targets(host: Host) -> None:
    seen = str(host.home / "seen")
    conversation(host, "cloud", said("a", "", [{"type": "text", "text": "x"}], 100), name="of-the-cloud")
    conversation(host, "local", said("a", "", [{"type": "text", "text": "x"}], 100), name="of-local")
    os.utime(conversation(host, "routed", said("a", "", [{"type": "text", "text": "x"}], 100), name="older"), (1, 1))
    assert bash(host, "claude-switch continue local", SEEN=seen).returncode == 0
    assert host.seen()[0] == ["--resume", "of-the-cloud"]  # the newest of the others
    assert bash(host, "claude-switch continue local", SEEN=seen, SIGNALBOX_LANE="routed").returncode == 0
    assert host.seen()[0] == ["--resume", "older"]
    done = bash(host, "claude-switch continue local --from local")
    assert done.returncode == output.EX_USAGE
    assert "claude-local --resume" in done.stderr


def test_a_private_conversation_leaves_only_when_a_person_says_so(host: Host) -> None:
    conversation(host, "local-private", said("a", "", [{"type": "text", "text": "secret"}], 100))
    host.ask_here("local-private")
    assert "no conversation of this directory" in bash(host, "claude-switch continue cloud").stderr
    done = bash(host, "claude-switch continue cloud --from local-private")
    assert done.returncode == output.EX_USAGE
    assert "local-private is private, and this goes from local-private to cloud; add --private-too" in done.stderr
    assert not list(host.home.glob(".claude-cloud/projects/*/*"))
    done = bash(host, "claude-switch continue cloud --from local-private --private-too", SEEN=str(host.home / "seen"))
    assert done.returncode == 0, done.stderr
