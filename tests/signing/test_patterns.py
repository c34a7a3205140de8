"""Pattern lists mean what they mean to OpenSSH; test_allowed_signers.py asks ssh-keygen itself."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolsign.patterns import match_list


@pytest.mark.parametrize(
    ("name", "patterns", "matches"),
    [
        ("alice", "alice", True),
        ("alice", "Alice", False),
        ("alice", "bob,alice", True),
        ("alice", "bob", False),
        ("alice", "*", True),
        ("alice@example.com", "*@example.com", True),
        ("alice@example.com.evil", "*@example.com", False),
        ("alice", "al?ce", True),
        ("alice", "alice?", False),
        ("alice", "*,!alice", False),
        ("alice", "!alice,*", False),
        ("bob", "*,!alice", True),
        ("bob", "!alice", False),
        ("alice", "", False),
        ("alice", ",,alice,", True),
        ("é", "??", True),
        ("é", "?", False),
        ("*", "a", False),
    ],
)
def test_lists(name: str, patterns: str, matches: bool) -> None:
    assert match_list(name, patterns) == matches


@given(st.text("ab*?", min_size=1, max_size=12), st.text("ab*?", max_size=8))
def test_single_patterns_are_like_regular_expressions(name: str, pattern: str) -> None:
    words = {"*": ".*", "?": "."}
    expression = "".join(words.get(character, re.escape(character)) for character in pattern)
    assert match_list(name, pattern) == (re.fullmatch(expression, name) is not None)


def test_a_hostile_pattern_costs_little() -> None:
    start = time.process_time()
    assert not match_list("a" * 2000, "*a" * 500 + "b")
    assert time.process_time() - start < 5
