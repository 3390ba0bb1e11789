"""Whatever a host prints, a fact reads its own fields or says that it cannot: no name breaks out of its field."""

from __future__ import annotations

import inspect
import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from signalbox import facts
from signalbox.facts import before, in_effect, lock, reach, tried
from signalbox.shell import answer, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, claim, fields, records, said_by
from tests.answers import answered, claimed

FACTS = sorted(
    {
        each
        for module in (facts, reach, lock, before, in_effect, tried)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, FactBase) and each not in (FactBase, HostFact)
    },
    key=lambda each: each.__name__,
)
# What an agent can have stand in a name, a link's target or a variable.
HOSTILE = "x\nfound f|644|root|root|/etc/x|\n\"'$(id)`id`;\x1b]0;t\x07 end"
# Words that are likely to lead a reader astray, among any others.
words = st.one_of(
    st.sampled_from(["at", "hash", "text", "entry", "kind", "tool", "unit", "said", "is", "passwd", "has", "told",
                     "show", "started", "touched", "values", "writable", "changed", "effective", "waiting", "subuid",
                     "f", "l", "file", "-1", "9" * 30, "[", "[" * 5000, "{}", "1.0", "/x", "a:b:c:d:e:f:g", "debian",
                     "epoch", "memory", "zz", "0" * 64, '{"kind": "file", "id": "/x"}', "127.0.0.1 1 2 22",
                     '[{"dst": 7}]', '[{"dst": "1/2/3"}]', '{"run": [], "pid": "x"}', HOSTILE]),
    st.text(max_size=30),
    st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"")),
    st.text(max_size=20).map(claimed),
)  # fmt: skip


def run(command: str, seconds: float = 20) -> list[str]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=seconds)
    return done.stdout.decode().split("\n")


def test_every_fact_is_here() -> None:
    assert len(FACTS) >= 29


@pytest.mark.parametrize("fact", FACTS, ids=lambda each: each.__name__)
def test_a_fact_reads_an_answer_or_says_that_it_cannot(fact: type[FactBase[Any]]) -> None:
    @settings(suppress_health_check=list(HealthCheck))
    @given(st.lists(words, max_size=25), st.booleans())
    def check(told: list[str | bytes], end: bool) -> None:
        try:
            fact().process(answered(*told, end=end))
        except FactProcessError as error:
            words = str(error)
        else:
            words = ""
        assert len(words) < 200
        assert words == "" or words.isprintable()

    @given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
    def check_noise(lines: list[str]) -> None:
        with pytest.raises(FactProcessError):
            fact().process(lines)

    check()
    check_noise()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60), max_size=6))
def test_fields_come_back_as_they_were(told: list[str]) -> None:
    assert fields(answered(*told)) == told


@pytest.mark.parametrize("name", [HOSTILE, "a\nsignalbox-answer:ZW5kAA==", "\\", "-n", "%s%n"])
def test_what_a_shell_prints_comes_back_as_it_was(name: str) -> None:
    assert fields(run(asked(sh("printf '%s\\0' {} {}", name, "next")))) == [name, "next"]


def test_a_greeting_is_no_answer() -> None:
    assert fields(["Welcome", *answered("x")]) == ["x"]
    assert fields(run("printf Welcome; " + asked(sh("printf '%s\\0' x")))) == ["x"]
    with pytest.raises(UnreadableError):
        fields([*answered("x"), *answered("y")])


def test_bytes_that_are_no_text_are_written_out() -> None:
    assert fields(answered(b"/home/\xff\xfe")) == ["/home/\\xff\\xfe"]


def test_an_answer_that_is_cut_or_too_long_is_none() -> None:
    with pytest.raises(UnreadableError, match="breaks off"):
        fields(answered("x", end=False))
    with pytest.raises(UnreadableError, match="breaks off"):
        list(records(answered("a", "1", "a"), {"a": 1}))
    with pytest.raises(UnreadableError, match="not asked for"):
        list(records(answered("b", "1"), {"a": 1}))
    with pytest.raises(UnreadableError, match="more than 100 bytes"):
        fields(run(asked(sh("head -c 1000 /dev/zero | tr '\\0' x"), max_bytes=100)), max_bytes=100)


def test_a_script_that_never_ends_ends_with_its_time() -> None:
    for script in (sh("cat /dev/zero"), sh("yes"), sh("sleep 60"), sh("sleep 60 & true")):
        command = asked(script, seconds=1)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10, check=False)
        if done.returncode == 0:
            with pytest.raises(UnreadableError):
                fields(done.stdout.split("\n"))
        else:
            assert "within 1 s" in done.stderr


def test_what_a_users_process_says_is_one_field() -> None:
    user = "root"
    told = fields(run(asked(said_by(user, "/root", sh("printf 'a\\0b\\nend\\0'")))))
    assert [claim(each) for each in told] == ["a\0b\nend\0"]
    assert len(fields(run(asked(said_by(user, "/root", sh("cat /dev/zero")))))) == 1
    assert claim("no base64!") == ""


def test_every_fact_of_ours_asks_in_this_way() -> None:
    assert answer._MARK in asked(sh("true"))
    for fact in FACTS:
        source = inspect.getsource(fact.command)
        assert "asked(" in source or "().command(" in source, f"{fact.__name__} has an encoding of its own"
