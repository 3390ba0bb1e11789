"""What runs first inside the gateway's container: the start script."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from signalbox.desired.render import render
from signalbox.tasks.gateway import PLUGINS


class Start:
    """The start script with secrets in a directory and an entrypoint that tells its environment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.provider = directory / "ANTHROPIC_DIRECT_KEY"
        self.provider.write_text("sk-ant '$(id) x\n")
        self.key = directory / "LITELLM_MASTER_KEY"
        self.key.write_text("sk-gateway\n")
        entrypoint = directory / "entrypoint"
        entrypoint.write_text('#!/bin/sh\nprintf "%s\\n" "$ANTHROPIC_DIRECT_KEY" "$LITELLM_MASTER_KEY" "$@"; exit 7\n')
        entrypoint.chmod(0o755)
        self.script = directory / "start"
        # The plug-in's directory is the container's own /tmp; here it must not be this machine's.
        names = {"entrypoint": str(entrypoint), "gateway_key": "LITELLM_MASTER_KEY"}
        rendered = render("gateway/start", plugins=PLUGINS, **names)
        self.script.write_text(
            rendered.replace("/tmp/signalbox", str(directory / "plug-in"))  # noqa: S108
        )

    def run(self, required: str = "ANTHROPIC_DIRECT_KEY") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "SIGNALBOX_SECRETS": str(self.directory),
            "SIGNALBOX_REQUIRED": required,
        }
        command = ["sh", str(self.script), "--config", "a b", "--port", "4000"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)

    def refused(self, required: str = "ANTHROPIC_DIRECT_KEY") -> str:
        done = self.run(required)
        assert (done.returncode, done.stdout) == (78, "")
        return done.stderr.replace(str(self.directory), "…").strip()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def test_the_entrypoint_gets_the_keys_and_the_arguments(start: Start) -> None:
    done = start.run()
    told = ["sk-ant '$(id) x", "sk-gateway", "--config", "a b", "--port", "4000"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (7, told, "")


def test_the_plug_in_arrives_as_it_is(start: Start) -> None:
    start.run()
    for path, text in PLUGINS.items():
        assert (start.directory / "plug-in" / path).read_text().strip() == text.strip()


def test_what_is_missing_or_empty_is_told(start: Start) -> None:
    assert start.refused("ANTHROPIC_DIRECT_KEY LMSTUDIO_TOKEN") == (
        "signalbox: …/LMSTUDIO_TOKEN is missing or unreadable; run the deploy again"
    )
    start.key.write_text("none\n")
    assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY holds no key (sk-…); run the deploy again"
    for nothing in ("\n", ""):
        start.key.write_text(nothing)
        assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY is empty; set that secret and run the deploy again"
    start.key.unlink()
    assert start.refused() == "signalbox: …/LITELLM_MASTER_KEY is missing or unreadable; run the deploy again"
