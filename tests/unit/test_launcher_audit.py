"""The status line and claude-logs, from what the gateway wrote down."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from signalbox import host as programs
from signalbox.host.launcher import logs, statusline
from signalbox.host.shared import audit, output

LANES: dict[str, dict[str, Any]] = {
    "local": {
        "via": "gateway",
        "goes_to": "http://127.0.0.1:4000",
        "billed": "nobody, unless the local server fails: then the Claude API account of ANTHROPIC_DIRECT_KEY",
        "private": False,
        "readings": [{}],
    },
    "routed": {
        "via": "gateway",
        "goes_to": "http://127.0.0.1:4000",
        "billed": "the Claude API account of ANTHROPIC_DIRECT_KEY; background work is local and free",
        "private": False,
        "readings": [],
    },
    "local-private": {
        "via": "direct",
        "goes_to": "http://box:1234",
        "billed": "nobody; nothing leaves your network",
        "private": True,
        "readings": [{}],
    },
    "api": {
        "via": "first-party",
        "goes_to": "https://api.anthropic.com",
        "billed": "the Claude API account of ANTHROPIC_DIRECT_KEY",
        "private": False,
        "readings": [],
    },
}
ENTRY = {
    "time": "2026-11-21T08:22:19.299+00:00", "session": "s1", "lane": "local", "asked": "local", "model": "local",
    "backend": "lmstudio", "fallback": None, "error_class": None, "status": 200, "input_tokens": 21402,
    "output_tokens": 14, "cached_tokens": 0, "estimated": False, "cost_usd": 0.0, "seconds": 0.4,
    "first_byte_seconds": 0.3,
}  # fmt: skip
CLOUD = {
    "model": "claude-haiku-4-5", "backend": "anthropic", "fallback": "local", "error_class": "timeout",
    "cost_usd": 0.02,
}  # fmt: skip
SONNET = {"asked": "claude-sonnet-4-6", "model": "claude-sonnet-4-6", "backend": "anthropic", "cost_usd": 0.011}
NOBODY = {"model": None, "backend": None, "error_class": "auth", "status": 401, "cost_usd": None}


def written(directory: Path, *entries: dict[str, Any]) -> Path:
    path = directory / "requests.jsonl"
    path.write_text("".join(json.dumps({**ENTRY, **entry}) + "\n" for entry in entries))
    return path


def line(
    directory: Path,
    *entries: dict[str, Any],
    lane: str = "local",
    asked: str = "local",
    used: float | None = None,
    said: tuple[dict[str, Any], ...] = (),
    width: int | None = None,
) -> str:
    conversation = directory / "s1.jsonl"
    conversation.write_text("".join(json.dumps(entry) + "\n" for entry in said))
    records = {"lanes": LANES, "audit": str(written(directory, *entries))}
    session = {"session_id": "s1", "model": {"id": asked}, "context_window": {"used_percentage": used},
               "transcript_path": str(conversation)}  # fmt: skip
    return output.coloured(*statusline.pieces(session, records, lane, width))


def plain(told: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", told)


def refusal(second: int, status: int = 500) -> dict[str, Any]:
    """What Claude Code 2.1.329 keeps of a request that failed."""
    return {
        "type": "assistant", "isSidechain": False, "timestamp": f"2026-11-21T08:22:{second}.164Z",
        "message": {"model": "<synthetic>"}, "error": "server_error", "isApiErrorMessage": True,
        "apiErrorStatus": status,
    }  # fmt: skip


def test_the_last_answer_of_the_session_counts(tmp_path: Path) -> None:
    told = line(tmp_path, {"backend": "other"}, {}, {"session": "s2", "backend": "another's"}, used=34.4)
    assert told == f"{output.GREEN}local{output.PLAIN} | free: local at lmstudio answered | context 34 %"


def test_background_work_is_not_the_sessions_answer(tmp_path: Path) -> None:
    told = line(tmp_path, SONNET, {}, {}, lane="routed", asked="claude-sonnet-4-6[1m]")
    assert plain(told) == "routed | anthropic bills: claude-sonnet-4-6 answered"
    nobody = line(tmp_path, SONNET, {**NOBODY, "asked": "claude-sonnet-4-6"}, {}, lane="routed", asked=SONNET["asked"])
    assert f"{output.RED}NOBODY answered (auth){output.PLAIN}" in nobody


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (CLOUD, "anthropic bills: claude-haiku-4-5 answered, local failed (timeout)"),
        (NOBODY, "NOBODY answered (auth)"),
        ({"status": 500, "error_class": "server_error"}, "NOBODY answered (server_error)"),
    ],
)
def test_a_failover_is_told_in_red_with_the_next_step(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    assert f"{output.RED}{said}{output.PLAIN} | {output.YELLOW}claude-doctor says why" in line(tmp_path, entry)


def test_who_interrupts_a_request_has_not_been_let_down(tmp_path: Path) -> None:
    told = line(tmp_path, {}, {"status": None, "backend": None, "error_class": "client_gone"})
    assert plain(told) == "local | free: local at lmstudio answered"


def test_a_used_up_quota_tells_the_way_on(tmp_path: Path) -> None:
    used_up = {**SONNET, "backend": None, "status": 400, "error_class": "quota"}
    told = line(tmp_path, used_up, lane="routed", asked=SONNET["asked"])
    assert plain(told) == "routed | NOBODY answered (quota) | wait, or /exit and claude-switch continue local"
    assert "/compact" in line(tmp_path, {**used_up, "error_class": "overflow"}, asked=SONNET["asked"])


@pytest.mark.parametrize("lane", LANES)
def test_nobody_is_told_in_every_lane(tmp_path: Path, lane: str) -> None:
    told = line(tmp_path, lane=lane, said=(refusal(20),))
    assert f"{output.RED}NOBODY answered (500){output.PLAIN} | {output.YELLOW}claude-doctor" in told
    answered = {**refusal(21), "isApiErrorMessage": False}
    assert "NOBODY" not in line(tmp_path, lane=lane, said=(refusal(20), answered))
    assert "NOBODY" in line(tmp_path, lane=lane, said=(refusal(20), {**answered, "isSidechain": True}))


def test_what_the_gateway_wrote_down_later_counts(tmp_path: Path) -> None:
    assert "NOBODY answered (500)" in line(tmp_path, {}, said=(refusal(20),))  # the gateway was asked at 19
    assert "NOBODY" not in line(tmp_path, {}, said=(refusal(18),))


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("lane", LANES)
def test_who_pays_is_there_in_every_terminal(tmp_path: Path, lane: str, columns: int) -> None:
    width = columns - statusline.MARGIN
    for entry, pays in ((CLOUD, "anthropic bills"), ({}, "free"), (NOBODY, "NOBODY answered"), (None, "")):
        several = [] if entry is None else [{**entry, "asked": "local"}]
        told = plain(line(tmp_path, *several, lane=lane, used=34, width=width))
        pays = pays if LANES[lane]["via"] == "gateway" else ""
        assert told.startswith(f"{lane} | ")
        assert pays in told if pays else re.search("free|bill", told), told
        assert len(told) <= max(width, len(f"{lane} | NOBODY answered")), told


def test_at_60_columns_all_that_matters_is_there(tmp_path: Path) -> None:
    told = plain(line(tmp_path, {**CLOUD}, used=34, width=60 - statusline.MARGIN))
    assert told == "local | anthropic bills: local failed | claude-doctor"
    told = plain(line(tmp_path, SONNET, lane="routed", asked=SONNET["asked"], used=34, width=60 - statusline.MARGIN))
    assert told == "routed | anthropic bills: claude-sonnet-4-6 | 34 %"


def test_a_model_of_the_gateways_list_is_told_by_its_own_name(tmp_path: Path) -> None:
    session = {"session_id": "s1", "model": {"id": "claude-router-6c6f63616c", "display_name": "local"}}
    records = {"lanes": LANES, "audit": str(written(tmp_path, {}))}
    told = output.coloured(*statusline.pieces(session, records, "local"))
    assert " | free: local at lmstudio answered" in told


def test_a_private_lane_is_not_looked_up(tmp_path: Path) -> None:
    told = line(tmp_path, {}, lane="local-private")
    assert "straight to http://box:1234, bills nobody; nothing leaves your network" in told


def test_how_far_a_prompt_is_read_stands_in_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(url: str, headers: dict[str, str], _: float) -> list[dict[str, object]]:
        assert (url, headers) == ("http://box/slots", {"Authorization": "Bearer k"})
        return [{"is_processing": True, "n_prompt_tokens_processed": 4096, "next_token": [{"n_decoded": 0}]}]

    lane = {**LANES["local-private"], "slots": ["http://box/slots"], "key_variable": "ANTHROPIC_AUTH_TOKEN"}
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "k")
    monkeypatch.setattr(statusline.probes, "ask", asked)
    records = {"lanes": {"local-private": lane}, "audit": str(tmp_path / "none")}
    told = plain(output.coloured(*statusline.pieces({}, records, "local-private")))
    assert told.endswith(" | reads the prompt: 4096 tokens so far")


def test_what_was_left_out_is_told_in_the_logs() -> None:
    entry = {"time": "2026-11-30T10:00:00+00:00", "asked": "local", "model": "local", "backend": "lmstudio",
             "status": 200, "cost_usd": 0.0, "mended": ["images", "schemas"]}  # fmt: skip
    assert "local: local at lmstudio answered, images left out, as it sees none; " in logs.in_words(entry)


def test_a_status_line_without_an_audit_tells_who_will_pay(tmp_path: Path) -> None:
    records = {"lanes": LANES, "audit": str(tmp_path / "none")}
    told = plain(output.coloured(*statusline.pieces({"model": {"id": "claude-sonnet-4-6"}}, records, "routed")))
    assert told == f"routed | not asked yet: claude-sonnet-4-6, bills {LANES['routed']['billed']}"
    assert plain(output.coloured(*statusline.pieces({}, records, "gone"))) == "gone"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    output.tell_coloured((output.RED, "NOBODY"), ("", " | "), (output.GREEN, "local"))
    assert capsys.readouterr().out == "NOBODY | local\n"


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *({"seconds": number} for number in range(100)))
    monkeypatch.setattr(audit, "TAIL", 2000)
    seconds = [entry["seconds"] for entry in audit.newest(path)]
    assert 2 < len(seconds) < 10
    assert seconds == list(range(100))[-len(seconds) :]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "local: local at lmstudio answered; 21402 tokens in, 14 out, free, 0.4 s"),
        ({"plan": True}, "local: local at lmstudio answered; 21402 tokens in, 14 out, paid by the month, 0.4 s"),
        (
            {**CLOUD, "cost_usd": 0.0247, "estimated": True},
            "local: local FAILED (timeout), claude-haiku-4-5 at anthropic answered; "
            "about 21402 tokens in, 14 out, $0.0247, 0.4 s",
        ),
        (NOBODY, "local: nobody (auth) answered; 21402 tokens in, 14 out, price unknown, 0.4 s"),
    ],
)
def test_a_request_in_words(entry: dict[str, Any], said: str) -> None:
    assert logs.in_words({**ENTRY, **entry}).split("local      ", 1)[1] == said


def test_following_goes_on_after_the_file_was_rotated(tmp_path: Path) -> None:
    path = written(tmp_path, {"session": "old"})
    new = json.dumps({**ENTRY, "session": "in two halves"})
    steps = iter(
        [("", f"{json.dumps(ENTRY)}\n{new[:20]}"), ("", f"{new[20:]}\n"), ("rotate", f"{json.dumps(ENTRY)}\n")]
    )

    def wait() -> None:
        what, text = next(steps)
        if what == "rotate":
            path.rename(tmp_path / "requests.1.jsonl")
        with path.open("a") as file:
            file.write(text)

    following = audit.follow(path, wait)
    assert [next(following)["session"] for _ in range(3)] == ["s1", "in two halves", "s1"]


def test_claude_logs_shows_what_was_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, {"lane": "cloud", "seconds": 1}, {}, {"lane": "cloud", "seconds": 2})
    (tmp_path / "lanes.json").write_text(json.dumps({"audit": str(path), "lanes": {}}))
    # As on a host: nothing of this project beside the package.
    for package in ("launcher", "shared"):
        shutil.copytree(Path(programs.__file__).parent / package, tmp_path / "lib" / package)
    (tmp_path / "claude-logs").symlink_to(tmp_path / "lib/launcher/launch.py")
    command = [tmp_path / "claude-logs", "--lane", "cloud", "-n", "1", "--json"]
    environment = {"SIGNALBOX_LANES": str(tmp_path / "lanes.json")}
    # It ends by itself: what reads its output, such as `claude-logs | tail`, waits for that.
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert [json.loads(line)["seconds"] for line in done.stdout.splitlines()] == [2], done.stderr
    with subprocess.Popen([*command, "--follow"], env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        assert json.loads(following.stdout.readline())["seconds"] == 2
        time.sleep(0.5)
        assert following.poll() is None
        following.kill()


def budgets_of(directory: Path, *several: tuple[str, str, float]) -> None:
    told = [{"of": of, "name": name, "usd": 10.0, "per": "day", "spent": spent} for of, name, spent in several]
    (directory / "budgets.json").write_text(json.dumps({"budgets": told}))


def test_the_status_line_tells_what_is_left_of_the_budget_that_ends_first(tmp_path: Path) -> None:
    budgets_of(tmp_path, ("all", "", 2.5), ("lane", "routed", 9.0), ("cloud", "anthropic", 10.0))
    assert line(tmp_path, {}).endswith(" | 7.50 of 10 USD left this day")
    assert line(tmp_path, SONNET, lane="routed", asked="claude-sonnet-4-6").endswith(
        f" | {output.YELLOW}1.00 of 10 USD left this day{output.PLAIN}"
    )
    budgets_of(tmp_path, ("all", "", 11.0))
    assert line(tmp_path, {}, width=60).endswith(f" | {output.RED}0.00 USD left{output.PLAIN}")


@pytest.mark.parametrize("text", ["", "{}", '{"budgets": [1]}', '{"budgets": [{"of": "x", "usd": 1, "spent": NaN}]}'])
def test_a_file_of_budgets_that_is_none_is_no_budget(tmp_path: Path, text: str) -> None:
    whole = line(tmp_path, {})
    (tmp_path / "budgets.json").write_text(text)
    assert line(tmp_path, {}) == whole
