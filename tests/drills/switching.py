"""claude-switch in one shell: there, back, and the environment as it was."""

from __future__ import annotations

import re

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.screen import Terminal
from tests.drills.stage import HOST, Stage
from tests.lab import hosts, services

drill = Drill(
    "switching",
    "one shell, many lanes",
    "Switching back and forth 20 times in one shell leaves the environment as it was.",
)

TWENTY = """
env | sort > /tmp/drill-before
for n in $(seq {rounds}); do
    claude-switch local 2>/dev/null || exit 1
    [ $n != 1 ] || env | sort > /tmp/drill-first
    claude-switch cloud 2>/dev/null || exit 1
done
claude-switch local 2>/dev/null
env | sort > /tmp/drill-last
claude-switch off 2>/dev/null
{leak}
env | sort > /tmp/drill-after
grep -c ANTHROPIC /tmp/drill-first
cmp /tmp/drill-before /tmp/drill-after && cmp /tmp/drill-first /tmp/drill-last && echo same
rm -f /tmp/drill-before /tmp/drill-first /tmp/drill-last /tmp/drill-after
"""
TALK = "mkdir -p ~/drill-talk && cd ~/drill-talk"
SHELL = "{shell} -s <<'END'\n. /usr/local/lib/signalbox/shell.sh\nexport ANTHROPIC_API_KEY=mine\n{script}\nEND"


def _twenty(shell: str = "bash", leak: str = "", rounds: int = 10) -> str:
    script = TWENTY.format(leak=leak, rounds=rounds)
    told = looks.answer(SHELL.format(shell=shell, script=script), timeout=120)
    assert told.endswith("same"), told
    return f"same, {told.split()[0]} variables of Anthropic's in between"


@drill.cell("twenty", fixed=True)
def twenty(stage: Stage) -> Figures:
    """After 20 switches and `off` each variable is what it was; a key of the shell's own comes back."""
    stage.converged()
    figure = _twenty()
    assert not [each for each in stage.simulators.requests("anthropic") if each["method"] == "POST"]
    leak = must_fail(lambda: _twenty(leak="export ANTHROPIC_MODEL=local", rounds=1), "one variable left behind")
    return {"bash": figure, "control": leak}


@drill.cell("zsh")
def zsh(stage: Stage) -> Figures:
    """The same in zsh."""
    stage.converged()
    looks.have_shell("zsh")
    return {"zsh": _twenty("zsh")}


@drill.cell("answers")
def answers(stage: Stage) -> Figures:
    """In one shell: claude itself is answered by the lane that the shell was switched to last."""
    stage.converged()
    script = "; ".join(
        f"claude-switch {lane} 2>/dev/null; claude -p 'say hello' 2>/dev/null" for lane in ("local", "cloud")
    )
    told = looks.answer(script).splitlines()
    assert ["LM Studio" in told[0], "Anthropic" in told[1]] == [True, True], told
    off = looks.answer(f"{script}; claude-switch off; env | grep -c ANTHROPIC || true").splitlines()[-1]
    assert off == "0", off
    return {"claude after claude-switch local": told[0], "claude after claude-switch cloud": told[1]}


@drill.cell("below")
def below(stage: Stage) -> Figures:
    """In a shell below a switched one `off` means it too: no variable of the lane stays, in bash and in zsh."""
    stage.converged()
    looks.have_shell("zsh")
    count = "env | grep -cE 'ANTHROPIC|SIGNALBOX_LANE|CLAUDE_C' || true"

    def off(shell: str, word: str = "claude-switch off") -> str:
        inner = f". /usr/local/lib/signalbox/shell.sh; {count}; {word}; {count}"
        told = looks.answer(f"claude-switch local; {shell} -c {looks.quoted(inner)}").split()
        assert int(told[0]) > 9, told
        assert told[1] == "0", f"{told[1]} variables stay"
        return f"{told[0]} variables of the lane before, 0 after"

    return {shell: off(shell) for shell in ("bash", "zsh")} | {
        "control": must_fail(lambda: off("bash", "true"), "nothing said of off")
    }


@drill.cell("status")
def status(stage: Stage) -> Figures:
    """`claude-switch status` in a switched shell, and in one where something diverts plain claude."""
    stage.converged()
    told = looks.answer("claude-switch local; claude-switch status").splitlines()
    rows = {" ".join(line[:13].split()): line[13:].strip() for line in told}
    figures = {row: rows[row] for row in ("lane", "goes to", "model", "haiku", "server", "bills")}
    assert rows["model"] == rows["haiku"] == "local", told
    assert rows[""] == "it answers", told
    assert rows["server"] == "lmstudio: answers", told
    diverted = "ANTHROPIC_BASE_URL=http://old claude-switch status; echo status $?"
    plain = looks.answer(diverted).splitlines()
    assert plain[-1] == "status 2", plain
    beaten = next(line[13:].strip() for line in plain if line.startswith("beaten by"))
    stage.simulators.fault("lmstudio", "refuse")
    try:
        down = looks.answer("claude-switch local; claude-switch status; echo status $?").splitlines()
    finally:
        stage.simulators.heal()
    assert down[-1] == "status 2", down
    return {
        **figures,
        "plain claude with a stray variable": beaten,
        "control": next(line[13:].strip() for line in down if "DOES NOT ANSWER" in line),
    }


@drill.cell("snippet")
def snippet(stage: Stage) -> Figures:
    """Claude Code itself, started by its own name, follows the settings snippet of a lane, with its apiKeyHelper."""
    stage.converged()
    ask = "env CLAUDE_CONFIG_DIR=$HOME/drill-snippet timeout 60 claude -p 'say hello'"
    try:
        looks.answer("mkdir -p ~/drill-snippet && claude-switch snippet settings local > ~/drill-snippet/settings.json")
        told = looks.answer(f"{ask} 2>/dev/null")
        assert "LM Studio" in told, told
        kept = looks.answer("cat ~/drill-snippet/settings.json")
        assert ("sk-" in kept, "apiKeyHelper" in kept) == (False, True), kept

        def without() -> None:
            looks.answer(f"rm -rf ~/drill-snippet; {ask}")

        return {"claude": told, "control": must_fail(without, "no snippet")}
    finally:
        looks.answer("rm -rf ~/drill-snippet")


@drill.cell("continue")
def goes_on(stage: Stage) -> Figures:
    """A conversation goes on in another lane, with all that was said; into a private lane only when that is said."""
    stage.converged()
    try:
        looks.answer(f"{TALK} && claude-local -p 'the word is kumquat' 2>/dev/null")
        stage.simulators.clear()
        looks.answer(f"{TALK} && claude-switch continue cloud -- -p 'go on'")
        request = looks.served(stage, "anthropic", "kumquat")
        assert "go on" in str(request["body"])
        private = f"{TALK} && claude-switch continue local-private --from cloud"

        def unasked() -> None:
            looks.answer(f"{private} -- -p more")

        refused = must_fail(unasked, "nothing said of --private-too")
        stage.simulators.clear()
        looks.answer(f"{private} --private-too -- -p more 2>/dev/null")
        looks.served(stage, "lmstudio", "kumquat")
        assert not looks.chats(stage, "anthropic")
    finally:
        looks.answer("rm -rf ~/drill-talk ~/.claude-*/projects/*drill-talk")
    return {"local to cloud": "the cloud was told the word", "control": refused}


@drill.cell("room")
def room(stage: Stage) -> Figures:
    """A conversation that is longer than the other lane's context stays where it is, and says so."""
    stage.converged()
    try:
        looks.answer(f"{TALK} && printf 'word %.0s' $(seq 16000) | claude-cloud -p 2>/dev/null")
        stage.simulators.clear()
        go_on = f"{TALK} && claude-switch continue local -- -p more"
        done = hosts.run(HOST, go_on, user="claude", check=False, timeout=120)
        assert (done.returncode, looks.chats(stage, "lmstudio")) == (78, []), done.stdout + done.stderr
        told = done.stderr.strip().splitlines()[-1]
        assert "tokens and local has a context of" in told, told
    finally:
        looks.answer("rm -rf ~/drill-talk ~/.claude-*/projects/*drill-talk")
    return {"cloud to local": told}


def _completed(terminal: Terminal, typed: str, whole: str, seconds: float = 60) -> None:
    terminal.press("C-c")
    terminal.type(typed, "Tab")
    terminal.first(whole, seconds=seconds)


COMPLETED = {
    "claude-switch rou": "claude-switch routed",
    "claude-switch continue clo": "claude-switch continue cloud",
    "claude-switch snippet vs": "claude-switch snippet vscode",
}


@drill.cell("completion")
def completion(stage: Stage) -> Figures:
    """Tab completes lanes and words after claude-switch, in an interactive bash and zsh."""
    stage.converged()
    looks.have_shell("zsh")
    figures: dict[str, object] = {}
    for shell in ("bash", "zsh"):
        with Terminal(f"{shell} -i") as terminal:
            if shell == "zsh":  # as those who want completion have it in their .zshrc
                terminal.type("autoload -Uz compinit && compinit -u && echo ready-$((40+2))")
                terminal.line("ready-42")
            for typed, whole in COMPLETED.items():
                _completed(terminal, typed, whole)
        figures[shell] = ", ".join(COMPLETED.values())
    with Terminal("bash --norc -i") as terminal:
        bare = must_fail(lambda: _completed(terminal, "claude-switch rou", "claude-switch routed", 3), "a bare bash")
    return {**figures, "control": bare}


@drill.cell("menu")
def menu(stage: Stage) -> Figures:
    """Without an argument claude-switch shows a menu of lanes with who pays; what is chosen there answers."""
    stage.converged()
    with Terminal("bash -i") as terminal:
        terminal.type("claude-switch")
        terminal.line("which?")
        shown = [line.strip() for line in terminal.screen().splitlines() if re.match(r"\d\) ", line)]
        (number,) = (line[0] for line in shown if line.split()[1] == "local")
        terminal.type(number)
        told = terminal.line("claude now goes to http://127.0.0.1:4000; this bills nobody")
        terminal.type("claude -p 'say hello' 2>/dev/null")
        answered = terminal.line("Hello from simulated LM Studio")
    return {"menu": "; ".join(shown), f"after {number}": told, "claude": answered}


@drill.cell("aliases")
def aliases(stage: Stage) -> Figures:
    """At a prompt cc-local and cc-cloud switch and start, cc goes on there, cc-vibe says what is missing."""
    stage.converged()
    figures: dict[str, object] = {}
    ways = {"cc-local": "LM Studio", "cc": "LM Studio", "cc-cloud": "Anthropic"}
    with Terminal("bash -i") as terminal:
        for number, (command, server) in enumerate(ways.items()):
            terminal.type(f"{command} -p 'say hello' 2>/dev/null; echo end-$((40+{number}))")
            terminal.line(f"end-{40 + number}")
            figures[command] = terminal.line("Hello from simulated ")
            assert server in str(figures[command]), figures
        terminal.type("clear; cc-vibe")
        figures["cc-vibe without such a lane"] = terminal.line(
            "there is no lane vibe on this host; write VIBE_BASE_URL"
        )
    in_scripts = looks.answer("bash -c 'alias cc 2>&1 || true'")
    assert "not found" in in_scripts, in_scripts
    return {**figures, "cc in scripts": "no alias"}


@drill.cell("backends-env")
def backends_env(stage: Stage) -> Figures:
    """Servers of ~/.claude-backends.env, with `source claude-switch`; vibe is asked for one token first."""
    stage.converged()
    url, key = services.simulator("ollama"), "/usr/local/lib/signalbox/launcher/launch.py key local"
    file = "~/.claude-backends.env"
    vibe = "VIBE_BASE_URL=http://127.0.0.1:4000\\nVIBE_MODEL=local\\nVIBE_AUTH_TOKEN="
    ollama = f"OLLAMA_BASE_URL={url}\\nOLLAMA_MODEL=gemma4:26b-a4b\\n"
    switch = "bash -c 'source claude-switch {lane} && claude -p \"say hello\"' 2>&1"
    try:
        looks.answer(f'umask 077; printf "{ollama}{vibe}$({key})\\n" > {file}')
        by_ollama = looks.answer(switch.format(lane="ollama")).splitlines()[-1]
        assert "Hello from simulated Ollama" in by_ollama, by_ollama
        stage.simulators.clear()
        by_vibe = looks.answer(switch.format(lane="vibe")).splitlines()[-1]
        assert "Hello from simulated LM Studio" in by_vibe, by_vibe
        first = looks.chats(stage, "lmstudio")[0]["body"]
        assert first["max_tokens"] == 1, first
        looks.answer(f'printf "{ollama}{vibe}sk-spent\\n" > {file}')
        done = hosts.run(HOST, "claude-switch vibe", user="claude", check=False)
        told = done.stderr.strip().splitlines()[-1]
        assert (done.returncode, "to one token of local" in told) == (69, True), done.stderr
    finally:
        looks.answer(f"rm -f {file}; rm -rf ~/.claude-ollama ~/.claude-vibe")
    return {"ollama": by_ollama, "vibe": f"{by_vibe}, after one token", "vibe with a key that is spent": told}
