"""How a task speaks of one host: a warning, or the end of the run for that host alone."""

from __future__ import annotations

from pyinfra import host, logger, state

REMARK = "remark: "  # how a remark begins among all that a run says


def warn(message: str) -> None:
    """Say what a person should look at; the run goes on."""
    host.log_styled(f"warning: {message}", log_func=logger.warning, fg="yellow")


def remark(message: str) -> None:
    """Say what a person may want to know; nothing is wrong."""
    host.log_styled(f"{REMARK}{message}", log_func=logger.info)


def fail(problems: list[str]) -> None:
    """Say each problem and leave this host as it is; other hosts go on. Nothing happens without problems."""
    for problem in problems:
        host.log_styled(problem, log_func=logger.error, fg="red")
    if problems:
        # Raising would end the run for all hosts (pyinfra 3.10.0, pyinfra_cli/util.py).
        state.fail_hosts({host})  # type: ignore[no-untyped-call]
