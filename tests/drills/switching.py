"""claude-switch in one shell: there, back, and the environment as it was."""

from __future__ import annotations

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import Stage

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
    looks.answer("apt-get -q update && apt-get -yq install zsh", user="root", timeout=300)
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


@drill.cell("continue")
def goes_on(stage: Stage) -> Figures:
    """A conversation goes on in another lane, with all that was said; into a private lane only when that is said."""
    stage.converged()
    here = "mkdir -p ~/drill-talk && cd ~/drill-talk"
    try:
        looks.answer(f"{here} && claude-local -p 'the word is kumquat' 2>/dev/null")
        stage.simulators.clear()
        looks.answer(f"{here} && claude-switch continue cloud -- -p 'go on'")
        request = looks.served(stage, "anthropic", "kumquat")
        assert "go on" in str(request["body"])
        private = f"{here} && claude-switch continue local-private --from cloud"

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
