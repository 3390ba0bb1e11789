"""What a person set up by hand and Signalbox does in its place now: set aside, never thrown away."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts import Placed, UserCommand
from signalbox.operations.commands import Commands
from signalbox.operations.files import prepare
from signalbox.shell import Script, all_of, each_of, manifest, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import owner_of, replaced
from signalbox.shell.run_as import PATIENCE, as_owner, run_as

SHELL_FILES = (".bashrc", ".bash_aliases", ".bash_profile", ".profile", ".zshrc", ".zprofile")
# Leaves out functions and aliases of these names, and what loads these files; fails where a function has no end.
_AWK = r"""
function starts(line) { return line ~ ("^[ \t]*(function[ \t]+)?(" names ")[ \t]*(\\([ \t]*\\))?[ \t]*(\\{|$)") }
function whole(line) { return line ~ /\}[ \t;]*$/ }
in_function { if ($0 ~ /^\}[ \t;]*$/) in_function = 0; next }
in_if { if ($0 ~ /^[ \t]*fi[ \t;]*$/) in_if = 0; next }
names && $0 ~ ("^[ \t]*alias[ \t]+(" names ")=") { next }
names && starts($0) && $0 ~ /[({]/ { if (!whole($0)) in_function = 1; next }
files && $0 ~ ("(" files ")") && $0 !~ /^[ \t]*#/ {
    if ($0 ~ /^[ \t]*if[ \t]/ && $0 !~ /[ \t;]fi[ \t;]*$/) in_if = 1
    next
}
{ print }
END { if (in_function || in_if) exit 3 }
"""


def without(path: str, names: tuple[str, ...], files: tuple[str, ...]) -> Script:
    """Return the command that prints a shell file without functions and aliases of these names, and without what loads
    these files (below the home).
    """
    patterns = (("names", names), ("files", tuple(file.rsplit("/", 1)[-1] for file in files)))
    given = [
        word for name, words in patterns for word in ("-v", f"{name}={'|'.join(_escaped(each) for each in words)}")
    ]
    return sh("awk {} {} {}", given, _AWK, path)


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in ".+*?()|[]{}^$" else letter for letter in text)


@operation()
def container_set_aside(container: str, account: str, home: str) -> Commands:
    """Have this container of the user's own Docker stopped, not to start by itself; it stays, with all it holds."""
    want("container", f"{account}:{container}")
    look = "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}"
    script = sh("docker container inspect --format {} {}", look, container)
    found = host.get_fact(UserCommand, user=account, home=home, script=script)
    running, _, policy = (found[0] if found else "false no").partition(" ")
    if running != "true" and policy in ("no", ""):
        host.noop(f"{container} is not there, or set aside")
        return
    differs(f"container {container} of {account}", "running" if running == "true" else "stopped", "set aside")
    differs(f"container {container} of {account}, starts by itself", policy, "no")
    record = manifest.record(Entry("container", f"{account}:{container}", "set aside", policy))
    stop = sh(
        "{{ docker container update --restart=no {name} && docker container stop {name}; }} >/dev/null", name=container
    )
    yield all_of(manifest.MAKE, record, run_as(account, home, stop, seconds=PATIENCE))


@operation()
def file_set_aside(path: str) -> Commands:
    """Have this file of a person's home gone from there; root alone reads the copy that is kept."""
    now = host.get_fact(Placed, path=path, kind="aside")
    want("aside", path)
    if now.type is None:
        host.noop(f"{path} is not there, or set aside")
        return
    differs(path, now.type, "set aside")
    yield all_of(prepare("aside", path, now, ""), as_owner(owner_of(path), sh("rm -f {}", path)))


@operation()
def shells_without(names: list[str], files: list[str], account: str, home: str) -> Commands:
    """Have the user's shell files define none of these functions and load none of these files.

    What was there is kept beside each as *.before-signalbox, numbered when there are several.
    """
    wanted = tuple(names), tuple(files)
    look = each_of(
        *(
            sh(
                "[ ! -f {file} ] || {{ {rest} | cmp -s - {file}; }} || echo {file}",
                file=file,
                rest=without(file, *wanted),
            )
            for file in SHELL_FILES
        )
    )
    found = [name for name in host.get_fact(UserCommand, user=account, home=home, script=look) if name in SHELL_FILES]
    if not found:
        host.noop("no shell file defines or loads them")
        return
    for name in found:
        differs(f"{home}/{name}", "as by hand", f"without {', '.join([*names, *files])}")
        by_hand = f"take {', '.join(names)} out by hand, and deploy again"
        failed = f"~/{name}: a function in it has no end; {by_hand}"
        broken = f"~/{name}: what would be left of it is no shell file any more; {by_hand}"
        yield run_as(
            account,
            home,
            sh(
                "{}",
                replaced(
                    f"{home}/{name}",
                    sh("{} || {{ echo {} >&2; false; }}", without("-", *wanted), failed),
                    # One that is broken already is not for us to judge.
                    sh(
                        "{{ ! {parse} {old} 2>/dev/null || {parse} {new} || {{ echo {broken} >&2; false; }}; }}"
                        " && cp -p --backup=numbered {old} {kept}",
                        parse=sh("zsh -n") if name.startswith(".z") else sh("bash -n"),
                        kept=f"{home}/{name}.before-signalbox",
                        old=sh('"$p"'),
                        new=sh('"$p".signalbox-new'),
                        broken=broken,
                    ),
                ),
            ),
        )
