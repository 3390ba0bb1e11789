"""An agent lays traps wherever something of ours lies in its home, and root walks into none of them."""

from __future__ import annotations

import resource
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from signalbox.shell.manifest import STATE
from tests.drills import looks
from tests.drills.adopt import adopt
from tests.drills.deployment import Run, Running, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.earlier import deploy, earlier
from tests.drills.init import person_at
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts

drill = Drill(
    "hostile",
    "root believes nothing that an agent can write",
    "Every placed thing in a home or runtime directory x {link with lines that forge, link to /etc/shadow, FIFO, "
    "/dev/zero, directory, hard link, sparse 5 GB, missing parent, names with line breaks, quotes, `$()`, ESC}, and a "
    "loop that swaps things 200 times while a deploy, a plan, verify, remove and adopt run. In every cell: nothing "
    "runs as root, no file outside the user's own changes, no line of /etc/shadow on the controller, plan is never "
    "clean while content differs, the run ends within 60 s over a quiet one, a second host in the same run is "
    "untouched by it.",
)

OTHER = lab_host("other")
PWNED = "/root/pwned"
FIRST = "environment"
QUIET_AND = 60.0  # seconds that a run may take longer than a quiet one
MAX_CONTROLLER_MIB = 600  # of memory, at the run's largest
# What was proven on this commit: its decoder believed a link's target.
BEFORE = "baa9794"


@dataclass(frozen=True)
class Thing:
    """Something of ours that its owner can replace; `path` is for a shell of the owner's."""

    owner: str
    path: str


_GATEWAY = "/home/litellm/.config/signalbox/gateway"
THINGS = {
    "shell": Thing("claude", "/home/claude/.bashrc"),
    "logins": Thing("claude", "/home/claude/.ssh/authorized_keys"),
    "environment": Thing("claude", "/home/claude/.config/signalbox/env.sh"),
    "credential": Thing("claude", "/home/claude/.config/signalbox/gateway.cred"),
    "folder": Thing("claude", "/home/claude/.config/signalbox"),
    "unit": Thing("claude", "/home/claude/.config/systemd/user/docker.service"),
    "docker": Thing("claude", "/home/claude/.config/docker/daemon.json"),
    "program": Thing("claude", "/home/claude/.local/bin/claude"),
    "skill": Thing("claude", "/home/claude/.claude/skills/cloud-escalator"),
    "noted": Thing("claude", "/run/user/$(id -u)/docker.service.inputs"),
    "gateway": Thing("litellm", f"{_GATEWAY}/config.yaml"),
    "gateway-unit": Thing("litellm", "/home/litellm/.config/systemd/user/litellm.service"),
    "gateway-key": Thing("litellm", f"{_GATEWAY}/secrets/LITELLM_MASTER_KEY.cred"),
}

# As sh, for the owner: `p` is the path, `good` a copy of what was there, `sum` its SHA-256.
_FORGED = (
    'mode=$(stat -c %a "$good" 2>/dev/null || echo 644); entry=\'{"hash": "go=", "id": "/srv/x", "kind": "mode",'
    f' "original": "755 /home/claude; id > {PWNED}; true"}}\'; '
    # As the decoder of old read it, and as one would that takes line breaks for the ends of fields.
    "ln -sT \"$(printf 'x\\nfound f|%s|%s|%s|%s|\\n%s  %s\\n/var/lib/signalbox/manifest/mode-x-00000000:%s\\n'"
    ' "$mode" $USER $USER "$p" "$sum" "$p" "$entry";'
    " printf 'entry\\nmode-x-00000000\\n%s\\nat\\n%s\\nf\\n%s\\n%s\\n%s\\n\\n\\n1\\n1-1\\nhash\\n%s\\n%s\\nend'"
    ' "$entry" "$p" "$mode" $USER $USER "$p" "$sum")" "$p"'
)
TRAPS: Mapping[str, tuple[str, str]] = {
    "forged": ("a link whose target forges the answer's lines", _FORGED),
    "shadow": ("a link to /etc/shadow", 'ln -sT /etc/shadow "$p"'),
    "fifo": ("a pipe that nobody writes into", 'mkfifo "$p"'),
    "zero": ("a link to /dev/zero", 'ln -sT /dev/zero "$p"'),
    "directory": ("a directory with something in it", 'mkdir "$p" && echo mine > "$p/mine"'),
    "hard-link": ("a hard link to another file of the user's",
                  'o=$(dirname "$p")/other-file; echo other > "$o" && ln "$o" "$p"'),
    "sparse": ("a file of 5 GB without content", 'truncate -s 5G "$p"'),
    "no-parent": ("its directory is a link that leads nowhere",
                  'd=$(dirname "$p"); case $d in /run/*|$HOME) ln -sT /nowhere/x "$p";;'
                  ' *) mv "$d" "$d.away" && ln -sT /nowhere "$d";; esac'),
    "names": ("names with line breaks, quotes, $() and escape sequences beside it, and one as its target",
              'd=$(dirname "$p"); n=$(printf \'a\\nfound f|644|root|root|/etc/x|\\n"\\047$(id >' f" {PWNED})"
              '`id`;\\033]52;c;eA==\\007\\033]0;t\\007\'); touch "$d/$(printf %s "$n" | tr / _)"; ln -sT "$n" "$p"'),
}  # fmt: skip


def _as(user: str, script: str) -> str:
    """Return shell, for root, that runs this as the user; not by a login, since what lets it in may be a trap."""
    runtime = f'XDG_RUNTIME_DIR="/run/user/$(id -u {user})"'
    return f"runuser -u {user} -- env HOME=/home/{user} USER={user} {runtime} sh -c {shlex.quote(script)}"


def _trap(thing: Thing, script: str) -> str:
    """Return shell, for root, that lays a trap with the rights of the thing's owner, who keeps what was there."""
    lay = (
        f'p={thing.path}; rm -rf ~/kept; mkdir -m 700 ~/kept; cp -a "$p" ~/kept/good 2>/dev/null; good=~/kept/good;'
        f' sum=$(sha256sum < "$p" 2>/dev/null | cut -d" " -f1); rm -rf "$p"; {script}'
    )
    return _as(thing.owner, lay)


def _undone(thing: Thing) -> str:
    """Return shell, for root, that takes a trap away as its owner would, with what it left beside."""
    undo = (
        f'p={thing.path}; d=$(dirname "$p"); [ ! -e "$d.away" ] || {{ rm -rf "$d"; mv "$d.away" "$d"; }};'
        ' rm -rf "$p" "$p".before-signalbox* "$d".before-signalbox* "$d/other-file";'
        ' find "$d" -maxdepth 1 -name "a?found*" -delete; cp -a ~/kept/good "$p"; rm -rf ~/kept'
    )
    return _as(thing.owner, undo)


class Watched:
    """What must stay as it is while traps lie on HOST: OTHER, root's files, the controller's output and its memory."""

    def __init__(self, stage: Stage) -> None:
        stage.converged(OTHER)
        stage.converged()
        self.site = stage.site(HOST, OTHER)
        self.quiet = self.site.deploy().ok().seconds
        self.shadow = [line for line in looks.answer("cat /etc/shadow", user="root").splitlines() if ":$" in line]
        if not self.shadow:
            looks.answer("echo root:drill | chpasswd -c SHA512 2>/dev/null || echo root:drill | chpasswd", user="root")
            self.shadow = [line for line in looks.answer("cat /etc/shadow", user="root").splitlines() if ":$" in line]
        assert self.shadow, "there is no password whose hash could show"
        looks.mark()

    def harmless(self, run: Run, what: str) -> None:
        """AssertionError unless root did nothing for the agent, and nothing of root's came to the controller."""
        told = f"{run.stdout}{run.stderr}"
        assert hosts.run(HOST, f"test ! -e {PWNED}", check=False).returncode == 0, f"{what}: root did it"
        assert not any(line.split(":")[1] in told for line in self.shadow), f"{what}: /etc/shadow was read"
        assert "Traceback" not in told, f"{what}: {told[-2000:]}"
        assert "\x1b]" not in told, f"{what}: an escape sequence came through"
        assert run.seconds < self.quiet + QUIET_AND, f"{what} took {run.seconds:.0f} s, a quiet run {self.quiet:.0f} s"

    def unharmed(self, run: Run, what: str) -> None:
        """As `harmless`; and the controller stayed small, and the other host is well."""
        self.harmless(run, what)
        if what == "verify":
            return  # its findings are no results of operations
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        assert peak < MAX_CONTROLLER_MIB, f"{what}: the controller took {peak} MiB"
        assert OTHER not in _failed(run), f"{what}: the other host failed:\n{run.stderr[-2000:]}"
        looked_at = run.count(OTHER) if run.answer["results"] else run.answer["plan"]
        assert looked_at, f"{what}: the other host was not looked at"

    def own_files_alone(self) -> None:
        """AssertionError when something outside of the users' homes, our state and what is always written changed."""
        allowed = ("/var/lib/signalbox", "/root/.ssh", "/etc/passwd-", "/var/lib/dpkg/")
        found = looks.written(but=("/home",))  # where names have line breaks
        strange = [path for path in found if not path.startswith(allowed) and path != "/root"]
        assert not strange, f"changed: {strange}"


def _failed(run: Run) -> list[str]:
    """Return the hosts that failed; a plan tells of none where it has no results."""
    return list((run.answer["results"] or {"failed_hosts": []})["failed_hosts"])


_watched: list[Watched] = []


def _watch(stage: Stage) -> Watched:
    if not _watched:
        _watched.append(Watched(stage))
    stage.converged(OTHER)
    stage.converged()
    return _watched[0]


def _cell(thing: Thing, title: str, script: str) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        watched = _watch(stage)
        looks.mark()
        looks.answer(_trap(thing, script), user="root")
        try:
            plan = watched.site.plan()
            watched.unharmed(plan, "plan")
            told = plan.planned(HOST) if HOST not in _failed(plan) else ["the host, by name"]
            # What is the user's own now stays, and is told.
            told = told or [line for line in plan.stderr.splitlines() if f"{thing.path} is" in line and "stays" in line]
            assert told, f"the plan is clean: {plan.stderr[-2000:]}"
            assert not plan.planned(OTHER), f"the plan names of the other host {plan.planned(OTHER)}"
            deploy = watched.site.deploy()
            watched.unharmed(deploy, "deploy")
            assert not deploy.changed(OTHER), f"the other host was changed: {deploy.changed(OTHER)}"
            watched.own_files_alone()
            healed = HOST not in _failed(deploy) and not watched.site.plan().planned(HOST)
            outcome = "healed" if healed else "refused by name, the person's to take away"
        finally:
            looks.answer(_undone(thing), user="root")
        after = watched.site.deploy()
        assert HOST not in _failed(after), f"it does not come back: {after.stderr[-2000:]}"
        return {"plan": told[0], "deploy": outcome, "run": f"{deploy.seconds:.1f} s, quiet {watched.quiet:.1f} s"}

    body.__doc__ = f"{thing.path} of {thing.owner} is {title}."
    return body


for _place, _thing in THINGS.items():
    for _name, (_title, _script) in TRAPS.items():
        drill.cell(f"{_place}-{_name}", fixed=(_place, _name) == (FIRST, "forged"))(_cell(_thing, _title, _script))


_SWAPPED = (".config/signalbox/env.sh", ".ssh/authorized_keys", ".bashrc", ".config/docker/daemon.json",
            ".config/signalbox/gateway.cred", ".local/bin/claude")  # fmt: skip
_LOOP = (
    "cd; mkdir -p swap; n=0; while [ $n -lt 200 ]; do n=$((n+1)); for f in PATHS; do"
    " cp -a $f swap/x 2>/dev/null; case $((n % 6)) in 0) ln -sfT /etc/shadow $f;; 1) rm -f $f; mkfifo $f;;"
    " 2) ln -sfT /dev/zero $f;; 3) rm -rf $f; mkdir $f;; 4) rm -rf $f; truncate -s 5G $f;;"
    " 5) rm -rf $f; ln -sfT /root/.ssh/authorized_keys $f;; esac; sleep 0.05; rm -rf $f; cp -a swap/x $f; done; done;"
    " touch swap/done"
).replace("PATHS", " ".join(_SWAPPED))


def _as_agent(script: str) -> None:
    """Have the agent run this."""
    looks.answer(_as("claude", script), user="root")


@contextmanager
def _swapping() -> Iterator[None]:
    """Have the agent swap what lies at our paths, 200 times round, as long as this lasts; then things are as before."""
    _as_agent(f"cd; rm -rf swap before; mkdir before; cp -a --parents {' '.join(_SWAPPED)} before/")
    _as_agent(f"systemd-run --user --quiet --unit=swap sh -c {shlex.quote(_LOOP)}")
    try:
        yield
        _as_agent("systemctl --user is-active swap")  # the run was quicker than the loop
    finally:
        _as_agent(
            "systemctl --user stop swap; systemctl --user reset-failed swap 2>/dev/null; cd;"
            f" rm -rf swap $(find . -maxdepth 4 -name '*.before-signalbox*') {' '.join(_SWAPPED)};"
            " cp -a before/. . && rm -rf before"
        )


def _deploy(watched: Watched) -> Run:
    return watched.site.deploy()


def _plan(watched: Watched) -> Run:
    return watched.site.plan()


def _verify(watched: Watched) -> Run:
    return Running(watched.site.inventory(), ["--json", "-y"], watched.site.environment, "verify.py").wait()


def _remove(watched: Watched) -> Run:
    return watched.site.remove("--dry")


RUNS: Mapping[str, Callable[[Watched], Run]] = {
    "deploy": _deploy, "plan": _plan, "verify": _verify, "remove": _remove,
}  # fmt: skip


def _swapped(command: str, call: Callable[[Watched], Run]) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        watched = _watch(stage)
        looks.mark()
        with _swapping():
            run = call(watched)
            watched.unharmed(run, command)
        watched.own_files_alone()
        after = watched.site.deploy()
        assert HOST not in _failed(after), f"it does not come back: {after.stderr[-2000:]}"
        assert not watched.site.plan().ok().planned(HOST)
        seconds = f"{run.seconds:.1f} s, quiet {watched.quiet:.1f} s"
        return {command: seconds, "failed, by name": ", ".join(_failed(run)) or "none"}

    body.__doc__ = f"Things are swapped 200 times round while {command} runs."
    return body


for _command, _call in RUNS.items():
    drill.cell(f"swapped-{_command}")(_swapped(_command, _call))


@drill.cell("swapped-adopt")
def swapped_adopt(stage: Stage) -> Figures:
    """Things are swapped 200 times round while adopt looks at the host."""
    watched = _watch(stage)
    with person_at(key=True) as (project, home), _swapping():
        started = time.monotonic()
        done = adopt(project, home, HOST, "--json")
        run = Run(done.returncode, done.stdout, done.stderr, time.monotonic() - started)
    assert run.status in (0, 1, 2), run.stderr[-2000:]
    watched.harmless(run, "adopt")
    watched.site.deploy()
    assert not watched.site.plan().ok().planned(HOST)
    return {"adopt": f"{run.seconds:.1f} s", "status": run.status}


@drill.cell("remove")
def remove(stage: Stage) -> Figures:
    """With the first trap laid, remove.py takes away what is ours and runs nothing of the agent's."""
    watched = _watch(stage)
    thing = THINGS[FIRST]
    looks.answer(_trap(thing, _FORGED), user="root")
    looks.mark()
    run = stage.site(HOST).remove("-y")
    watched.harmless(run, "remove")
    left = looks.answer(f"ls -A {STATE}/manifest 2>/dev/null | wc -l", user="root")
    # Not as the agent: its key has gone with the rest.
    kept = looks.answer("readlink /home/claude/.config/signalbox/env.sh 2>/dev/null | head -n1", user="root")
    stage.discard(HOST)
    return {"entries left": left, "the agent's link": kept or "gone"}


@drill.cell("control")
def control(stage: Stage) -> Figures:
    """With the decoder of before, on a host that it converged, the first trap is root at the next deploy."""
    thing = THINGS[FIRST]
    stage.bare(HOST)
    # Without what it would refuse as a setting that it does not know.
    known = dict(stage.site(HOST).settings)
    known["mirrors"] = {key: value for key, value in known["mirrors"].items() if key != "debian_security"}
    inventory = Site((HOST,), known).inventory()

    def not_root() -> None:
        looks.answer(f"test ! -e {PWNED}", user="root")

    with earlier(BEFORE) as old:
        try:
            deploy(old, inventory)
            looks.answer(_trap(thing, _FORGED), user="root")
            not_root()
            deploy(old, inventory)
            figure = must_fail(not_root, "the decoder")
        finally:
            stage.discard(HOST)
    return {"control": figure, "before": BEFORE}
