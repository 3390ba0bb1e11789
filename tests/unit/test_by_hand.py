"""What somebody has by hand: shell files lose launchers and no more; a gateway's configuration is understood."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from signalbox.init import by_hand
from signalbox.operations.by_hand import without
from signalbox.secrets import Secret

NAMES, FILES = ("claude-routed", "claude-local"), (".config/claude-secrets.env",)
# what a shell file holds: what is left of it
SHELLS = {
    'claude-routed() {\n  claude "$@"\n}\nexport A=1\n': "export A=1\n",
    "function claude-local {\n  if x; then\n    y\n  fi\n}\n": "",
    "claude-local() { claude; }\nalias mine='echo mine'\n": "alias mine='echo mine'\n",
    "alias claude-routed='claude'\n": "",
    "my-claude-routed() {\n  x\n}\n": "my-claude-routed() {\n  x\n}\n",
    "if [ -f ~/.config/claude-secrets.env ]; then\n  set -a\n  . claude-secrets.env\n  set +a\nfi\nb\n": "b\n",
    "set -a; source ~/.config/claude-secrets.env; set +a\n": "",
    "[ -f ~/.config/claude-secrets.env ] && . ~/.config/claude-secrets.env\nlast\n": "last\n",
    "if [ -f ~/.config/claude-secrets.env ]; then . ~/.config/claude-secrets.env; fi\nlast\n": "last\n",
    "# claude-secrets.env was here\n": "# claude-secrets.env was here\n",
    "# claude-routed() {\nif true; then\n  a\nfi\n": "# claude-routed() {\nif true; then\n  a\nfi\n",
}


@pytest.mark.parametrize("text", SHELLS)
def test_a_shell_file_loses_that_and_nothing_else(text: str, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text(text)
    done = subprocess.run(["sh", "-c", without("rc", NAMES, FILES)], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, SHELLS[text]), done.stderr


def test_a_function_without_an_end_is_left_to_the_person(tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("claude-routed() {\n  claude\nexport KEPT=1\n")
    done = subprocess.run(["sh", "-c", without("rc", NAMES, FILES)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3


def _entry(name: str, model: str, base: str | None, key: str) -> dict[str, object]:
    params = {"model": model, "api_key": f"os.environ/{key}"} | ({"api_base": base} if base else {})
    return {"model_name": name, "litellm_params": params}


FOUNDRY = "https://myfoundry.services.ai.azure.com/anthropic"
DIRECT = [_entry(f"claude-{each}", f"anthropic/claude-{each}-4-6", None, "KEY") for each in ("sonnet", "opus", "haiku")]
AZURE = [_entry(f"foundry-{each}", f"azure_ai/ours-{each}", FOUNDRY, "AZ") for each in ("sonnet", "opus", "haiku")]
AZURE_OLD = [_entry(f"foundry-{each}", f"anthropic/ours-{each}", FOUNDRY, "AZ") for each in ("sonnet", "opus", "haiku")]


@pytest.mark.parametrize(
    ("models", "cloud"),
    [(DIRECT, "anthropic"), (AZURE, "foundry"), (AZURE_OLD, "foundry"), ([*DIRECT, *AZURE], "both"), ([], "none")],
)
def test_which_cloud(models: list[dict[str, object]], cloud: str) -> None:
    found = by_hand.clouds(by_hand.Found(models=tuple(models)))
    assert found.cloud == cloud
    assert found.urls == {}
    if cloud in ("foundry", "both"):
        assert found.resource == "myfoundry"
        assert found.deployments["claude-opus-4-8"] == "ours-opus"


def test_keys_get_the_names_of_settings_and_the_gateways_own_stays_behind() -> None:
    keys = {"KEY": Secret("sk-ant-x"), "AZ": Secret("y"), "LITELLM_MASTER_KEY": Secret("z"), "MORE": Secret("kept")}
    kept = by_hand.secrets(by_hand.Found(models=(*DIRECT, *AZURE), secrets=keys), None)
    assert {name: value.reveal() for name, value in kept.items()} == {
        "ANTHROPIC_DIRECT_KEY": "sk-ant-x",
        "FOUNDRY_API_KEY": "y",
        "MORE": "kept",
    }
