"""Set-ups that would take a lane elsewhere or bill somebody else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts, services

drill = Drill(
    "poisoned",
    "nothing bills an account that the lane does not name",
    "Ten poisoned set-ups (ANTHROPIC_API_KEY in .bashrc, in a project .env that is loaded, env block in settings.json "
    "of user and of project, managed settings, stale ANTHROPIC_BASE_URL, alias named after a lane, an older claude "
    "first on PATH, empty gateway key, apiKeyHelper left over, CLAUDE_CONFIG_DIR leaking from a parent): each stopped "
    "or neutralised, cause and cure named. No request reaches the wrong simulator.",
)

ASK = "claude-local -p 'say hello'"
# {wrong} is the simulated cloud's address, {key} a key that it takes: poison that would really work.
ENV = '{{"env": {{"ANTHROPIC_BASE_URL": "{wrong}", "ANTHROPIC_API_KEY": "{key}"}}}}'
PROXY = '{{"env": {{"HTTP_PROXY": "{wrong}", "NO_PROXY": ""}}}}'
BASHRC = "sed -i.drill '2i {line}' ~/.bashrc"
MEND_BASHRC = "mv -f ~/.bashrc.drill ~/.bashrc"
OLD = "~/drill-old"
PROJECT = "~/drill-project"
SETTINGS = "~/.claude-local/settings.json"
KEPT = f"cp -p {SETTINGS} {SETTINGS}.drill"
MEND_SETTINGS = f"mv -f {SETTINGS}.drill {SETTINGS}"


@dataclass(frozen=True)
class Poison:
    """One set-up; `said` are the words that name cause and cure, `by` who spoils it, `stops` whether the lane stops."""

    name: str
    spoil: str
    mend: str
    said: tuple[str, ...]
    ask: str = ASK
    by: str = "claude"
    stops: bool = True


STOPPED = (
    Poison(
        "env block of the user's settings",
        f"{KEPT} && echo '{ENV}' > {SETTINGS}",
        MEND_SETTINGS,
        (".claude-local/settings.json, line 1: env.ANTHROPIC_BASE_URL beats the lane; take it out",),
    ),
    Poison(
        "env block of the project's settings",
        f"mkdir -p {PROJECT}/.claude && echo '{ENV}' > {PROJECT}/.claude/settings.json",
        f"rm -rf {PROJECT}",
        ("drill-project/.claude/settings.json, line 1: env.ANTHROPIC_API_KEY beats the lane",),
        f"cd {PROJECT} && {ASK}",
    ),
    Poison(
        "local settings of the git checkout, seen from below",
        f"mkdir -p {PROJECT}/.claude {PROJECT}/below && git init -q {PROJECT}"
        f" && echo '{ENV}' > {PROJECT}/.claude/settings.local.json",
        f"rm -rf {PROJECT}",
        ("drill-project/.claude/settings.local.json, line 1: env.ANTHROPIC_BASE_URL beats the lane; take it out",),
        f"cd {PROJECT}/below && {ASK}",
    ),
    Poison(
        "a proxy in the project's settings",
        f"mkdir -p {PROJECT}/.claude && echo '{PROXY}' > {PROJECT}/.claude/settings.json",
        f"rm -rf {PROJECT}",
        ("drill-project/.claude/settings.json, line 1: env.HTTP_PROXY beats the lane; take it out",),
        f"cd {PROJECT} && {ASK}",
    ),
    Poison(
        "env block that comes after the shell was switched",
        "true",
        MEND_SETTINGS,
        ("claude-switch: /home/claude/.claude-local/settings.json, line 1: env.ANTHROPIC_BASE_URL beats the lane",),
        f"claude-switch local && {KEPT} && echo '{ENV}' > {SETTINGS} && claude -p 'say hello'",
    ),
    Poison(
        "managed settings",
        f"echo '{ENV}' > /etc/claude-code/managed-settings.d/99-drill.json",
        "rm -f /etc/claude-code/managed-settings.d/99-drill.json",
        ("/etc/claude-code/managed-settings.d/99-drill.json, line 1: env.ANTHROPIC_BASE_URL beats the lane",),
        by="root",
    ),
    Poison(
        "apiKeyHelper left over",
        f'{KEPT} && echo \'{{{{"apiKeyHelper": "echo {{key}}"}}}}\' > {SETTINGS}',
        MEND_SETTINGS,
        ("settings.json, line 1: apiKeyHelper beats the lane; take it out",),
    ),
    Poison(
        "empty gateway key",
        "for f in ~/.config/signalbox/gateway.key* ~/.config/signalbox/gateway.cred*; do"
        " [ ! -f $f ] || {{ cp -p $f /tmp/drill-key; : > $f; }}; done",
        "for f in ~/.config/signalbox/gateway.key* ~/.config/signalbox/gateway.cred*; do"
        " [ ! -f $f ] || mv -f /tmp/drill-key $f; done",
        (".config/signalbox/gateway.", "run the deploy again"),
    ),
    Poison(
        "a stored login in the lane's directory",
        "echo '{{}}' > ~/.claude-local/.credentials.json",
        "rm -f ~/.claude-local/.credentials.json",
        (".claude-local/.credentials.json: a stored login; this lane has a key of its own; move the login away",),
    ),
)
NEUTRALISED = (
    Poison(
        "ANTHROPIC_API_KEY in .bashrc",
        BASHRC.format(line="export ANTHROPIC_API_KEY={key} ANTHROPIC_BASE_URL={wrong}"),
        MEND_BASHRC,
        ("/.bashrc, line 2: ANTHROPIC_API_KEY; it is not used here; take it out",),
        stops=False,
    ),
    Poison(
        "ANTHROPIC_API_KEY in a project's .env that is loaded",
        f"mkdir -p {PROJECT} && printf 'A=1\\nANTHROPIC_API_KEY={{key}}\\n' > {PROJECT}/.env",
        f"rm -rf {PROJECT}",
        ("drill-project/.env, line 2: ANTHROPIC_API_KEY; it is not used here",),
        f"cd {PROJECT} && set -a && . ./.env && {ASK}",
        stops=False,
    ),
    Poison(
        "a stale ANTHROPIC_BASE_URL",
        "true",
        "true",
        ("the environment that this was called from: ANTHROPIC_BASE_URL; it is not used here",),
        f"ANTHROPIC_BASE_URL={{wrong}} {ASK}",
        stops=False,
    ),
    Poison(
        "an alias named claude-local",
        "cp -p ~/.bashrc ~/.bashrc.drill"
        " && echo \"alias claude-local='ANTHROPIC_BASE_URL={wrong} claude'\" >> ~/.bashrc",
        MEND_BASHRC,
        ("claude-local: your alias of this name is off", "/.bashrc, line "),
        f"printf '%s\\n' \"{ASK}\" exit | bash -i",
        stops=False,
    ),
    Poison(
        "an alias named claude-local in zsh",
        "touch ~/.zshrc && cp -p ~/.zshrc ~/.zshrc.drill"
        " && echo \"alias claude-local='ANTHROPIC_BASE_URL={wrong} claude'\" >> ~/.zshrc",
        "mv -f ~/.zshrc.drill ~/.zshrc",
        ("claude-local: your alias of this name is off", "/.zshrc, line "),
        f"printf '%s\\n' \"{ASK}\" exit | zsh -i",
        stops=False,
    ),
    Poison(
        "a function named claude-local",
        "cp -p ~/.bashrc ~/.bashrc.drill"
        " && echo 'claude-local() {{ ANTHROPIC_BASE_URL={wrong} claude; }}' >> ~/.bashrc",
        MEND_BASHRC,
        ("claude-local: your function of this name is off", "/.bashrc, line "),
        f"printf '%s\\n' \"{ASK}\" exit | bash -i",
        stops=False,
    ),
    Poison(
        "an older claude first on PATH",
        f"mkdir -p {OLD} && printf '#!/bin/sh\\necho old\\n' > {OLD}/claude && chmod 755 {OLD}/claude",
        f"rm -rf {OLD}",
        ("drill-old/claude: another claude is first on PATH", "remove the other"),
        f"PATH={OLD}:$PATH {ASK}",
        stops=False,
    ),
    Poison(
        "CLAUDE_CONFIG_DIR leaking from a parent",
        f"mkdir -p {OLD} && echo '{ENV}' > {OLD}/settings.json",
        f"rm -rf {OLD}",
        ("CLAUDE_CONFIG_DIR; it is not used here",),
        f"CLAUDE_CONFIG_DIR={OLD} {ASK}",
        stops=False,
    ),
)


def _poisoned(stage: Stage, poison: Poison) -> str:
    """Ask in one poisoned set-up; returns what was said. AssertionError if a request went astray, or without a word."""
    words = {
        "wrong": services.lab_settings()["clouds"]["anthropic"]["url"],
        "key": services.environment()["ANTHROPIC_DIRECT_KEY"],
    }
    stage.simulators.clear()
    looks.answer(poison.spoil.format(**words), user=poison.by)
    try:
        done = hosts.run(HOST, poison.ask.format(**words), user="claude", check=False, timeout=90)
    finally:
        looks.answer(poison.mend.format(**words), user=poison.by)
    _in_its_lane(stage, done.returncode, stops=poison.stops)
    assert all(said in done.stderr for said in poison.said), done.stderr
    assert words["key"] not in done.stderr, "a key was shown"
    told = next(line for line in done.stderr.splitlines() if poison.said[0] in line)
    return f"{'stopped' if poison.stops else 'not used'}: {told.strip()}"


def _in_its_lane(stage: Stage, status: int, *, stops: bool) -> None:
    astray = [each["path"] for each in stage.simulators.requests("anthropic")]
    assert not astray, f"the simulated cloud was asked for {astray}"
    answered = len(looks.chats(stage, "lmstudio"))
    assert (status, answered) == (78, 0) if stops else (status == 0 and answered), f"{status}, {answered} answers"


@drill.cell("stopped", fixed=True)
def stopped(stage: Stage) -> Figures:
    """What Claude Code would follow stops the lane before it starts, under -p too."""
    stage.converged()
    assert "Hello" in looks.answer(ASK)  # the lane's directory is there
    figures = {poison.name: _poisoned(stage, poison) for poison in STOPPED}

    def plain() -> None:
        """The same set-up without the launcher's proof."""
        stage.simulators.clear()
        url = services.lab_settings()["clouds"]["anthropic"]["url"]
        key = services.environment()["ANTHROPIC_DIRECT_KEY"]
        looks.answer(f"{KEPT} && echo '{ENV.format(wrong=url, key=key)}' > {SETTINGS}")
        try:
            model = "--model claude-sonnet-4-6"
            command = f"CLAUDE_CONFIG_DIR=~/.claude-local timeout 60 claude {model} -p 'say hello'"
            done = hosts.run(HOST, command, user="claude", check=False, timeout=90)
        finally:
            looks.answer(MEND_SETTINGS)
        _in_its_lane(stage, done.returncode, stops=False)

    return {**figures, "control": must_fail(plain, "claude itself started there")}


@drill.cell("every-lane")
def every_lane(stage: Stage) -> Figures:
    """Managed settings, which every lane would follow, stop each of them."""
    stage.converged()
    (managed,) = (each for each in STOPPED if each.name == "managed settings")
    lanes = ("claude-routed", "claude-cloud", "claude-local --private")
    return {lane: _poisoned(stage, replace(managed, ask=ASK.replace("claude-local", lane))) for lane in lanes}


@drill.cell("neutralised")
def neutralised(stage: Stage) -> Figures:
    """What the lane's own environment outweighs is not used, and told with file and line."""
    stage.converged()
    looks.have_shell("zsh")
    figures = {poison.name: _poisoned(stage, poison) for poison in NEUTRALISED}
    harmless = Poison("control", "true", "true", ("ANTHROPIC_BASE_URL; it is not used here",), stops=False)
    return {**figures, "control": must_fail(lambda: _poisoned(stage, harmless), "nothing poisoned")}
