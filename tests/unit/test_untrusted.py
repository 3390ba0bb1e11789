"""JSON that nobody vouches for: ValueError alone comes out, and in bounded time."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.untrusted import json_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x1b]0;x\x07",
        "[" * 200_000,
        '{"a":' * 100_000,
        "[" * 33 + "]" * 33,
        "NaN",
        "[Infinity]",
        "-1e999",
        "9" * 5000,
        r'"\ud800"',
        r'{"\udfff": 1}',
        "\ufeff{}",
        b"\xff\xfe",
        "{} {}",
        b'{"a": "\xed\xa0\x80"}',
        "\ud800",
    ],
)
def test_what_is_no_plain_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_of(text, max_bytes=1024 * 1024)


def test_it_counts_bytes_and_levels() -> None:
    assert json_of('"' + "x" * 8 + '"', max_bytes=10) == "x" * 8
    with pytest.raises(ValueError, match="more than 10 bytes"):
        json_of('"' + "ä" * 8 + '"', max_bytes=10)
    assert json_of("[" * 32 + "]" * 32, max_bytes=100)
    with pytest.raises(ValueError, match="deeper than 2"):
        json_of("[[[1]]]", max_bytes=100, max_depth=2)


@given(VALUES)
def test_what_json_writes_is_read_as_it_was(value: object) -> None:
    assert json_of(json.dumps(value), max_bytes=1024 * 1024) == value


@given(st.text() | st.binary())
def test_nothing_but_value_error_comes_out(text: str | bytes) -> None:
    with suppress(ValueError):
        json_of(text, max_bytes=100)
