"""What the deploy files of a project call: `from signalbox.runs import deploy`, then `deploy()`."""

from __future__ import annotations

from importlib import import_module


def deploy() -> None:
    """Make the host what its settings say."""
    _run("deploy")


def verify() -> None:
    """Prove that the host works, and change nothing there."""
    _run("verify")


def remove() -> None:
    """Take everything of ours away from the host."""
    _run("remove")


def new_gateway_key() -> None:
    """Give the host's gateway another key."""
    _run("gateway_key")


def _run(name: str) -> None:
    # By its name: where the tasks lie is another place in a clone than in a wheel, and a type checker sees one alone.
    import_module(f"signalbox.tasks.runs.{name}").run()
