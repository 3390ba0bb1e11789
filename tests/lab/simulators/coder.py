"""The model's script for an agent's tasks, those of `signalbox certify --agent`: it really drives the agent's tools.

What it does next follows from the task and from what the tools have answered, so an agent whose tools do not work, or
whose files hold something else, gets nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Step = str | tuple[str, dict[str, Any]]  # a text, or a tool and its input

REVERSE = "def reverse(text):\n    return text[::-1]"
LOCKS = (
    "- A mutex has one owner, who alone releases it.\n- A semaphore counts: so many may pass.\n"
    "- A mutex guards state; a semaphore limits how much goes on at once."
)


def step(task: str, results: Sequence[str]) -> Step | None:
    """Return what comes next in this task after these tool results; None for a task that is none of these."""
    last = results[-1] if results else ""
    if said := re.search(r"\bSay (OK|SELFHOSTED_CLAUDE_TEST_OK)\W*$", task):
        return said[1]
    if "infra.toml with the Read tool" in task:
        steps = re.search(r"steps = (\d+)", last)
        return f"limits.steps is {steps[1]}." if steps else ("Read", {"file_path": "infra.toml"})
    if "Python function that reverses" in task:
        return REVERSE
    if "Review bugs.py" in task:
        return _review(last) if results else ("Read", {"file_path": "bugs.py"})
    if "Mutex or semaphore" in task:
        return LOCKS
    if "missing.txt with the Read tool" in task:
        return "NOT THERE" if "exist" in last else ("Read", {"file_path": "missing.txt"})
    if command := re.search(r"Run `(.+ -m pytest[^`]*)` with the Bash tool, and fix app.py", task):
        return _repair(command[1], results)
    return None


def _review(read: str) -> str:
    """Name each line, as the Read tool numbers them, that holds one of the known mistakes."""
    wrong = ("len(x)", "xs[len(xs)]", "% 2 = 0")
    found = [number for number, line in re.findall(r"(\d+)[\t→](.*)", read) if any(bug in line for bug in wrong)]
    return "\n".join(f"Line {number} is wrong." for number in found) or "I see no line."


def _repair(command: str, results: Sequence[str]) -> Step:
    """Test, read, change what the test has named, test again."""
    test = ("Bash", {"command": command})
    if not results:
        return test
    if "1 passed" in results[-1]:
        return "The test passes."
    named = re.search(r"assert \{'status': '(\w+)'\} == \{'status': '(\w+)'\}", results[0])
    steps: list[Step] = [test, ("Read", {"file_path": "app.py"})]
    if named:
        steps += [("Edit", {"file_path": "app.py", "old_string": named[1], "new_string": named[2]}), test]
    return steps[len(results)] if len(results) < len(steps) else f"I cannot repair it: {results[-1][:200]}"
