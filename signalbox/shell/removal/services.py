"""Services are given back as they ran: units of the system, and containers of an engine that was stopped."""

from __future__ import annotations

from signalbox.settings.account import Account
from signalbox.shell import Script, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.run_as import run_as


def run_by(user: str, script: Script) -> Script:
    return sh("if id -u {} >/dev/null 2>&1; then {}; fi", user, run_as(user, Account.named(user).home, script))


def container_as_it_was(entry: Entry, container: str) -> Script:
    return sh(
        "command -v docker >/dev/null || exit 0; found=$(docker container ls --all --quiet --filter {filter}) &&"
        ' {{ [ -z "$found" ] || {{ docker container update --restart={policy} {name}'
        " && docker container start {name}; }} >/dev/null; }}",
        filter=f"name=^/{container}$",
        policy=entry.original or "no",
        name=container,
    )


def unit_stopped(unit: str) -> Script:
    """Return shell that ends a unit of the user's own manager, with what it noted of its start, and its state."""
    return sh(
        'systemctl --user disable --now {unit}; cd "$XDG_RUNTIME_DIR" && rm -f {unit}.inputs {unit}.refused;'
        " systemctl --user clean --what=state {unit}",
        unit=unit,
    )


def unit_started(entry: Entry) -> Script:
    """Return shell that starts a unit of the system's again, and what of root's Docker ran in it; one may be gone.

    ACCOUNT:UNIT: the same of a user's own manager, where that is there.
    """
    account, _, of_user = entry.id.partition(":")
    if of_user:
        return run_by(account, started_by_user(of_user, entry.hash.split()))
    docker = sh("docker -H unix:///run/docker.sock start {} >/dev/null", entry.hash.split())
    return sh(
        "{{ systemctl daemon-reload;"
        " if systemctl cat {unit} >/dev/null 2>&1; then systemctl reset-failed {unit} 2>/dev/null;"
        " systemctl start {unit}{then}; fi; }}",
        unit=entry.id,
        then=sh(" && {}", docker) if entry.hash else Script(""),
    )


def started_by_user(unit: str, containers: list[str]) -> Script:
    """Return shell that starts the unit, unless its program has gone since, and these containers.

    systemd has tried by itself while the program was away, and starts a unit no more that failed too often.
    """
    docker = sh(" && docker start {} >/dev/null", containers) if containers else Script("")
    return sh(
        'if [ -S "$XDG_RUNTIME_DIR"/bus ]; then systemctl --user daemon-reload;'
        ' p=$(systemctl --user show -p ExecStart --value {unit} | sed -n {path}); if [ -x "$p" ]; then'
        " systemctl --user reset-failed {unit} 2>/dev/null; systemctl --user start {unit}{docker}; fi; fi",
        unit=unit,
        docker=docker,
        path="s/.* path=\\([^ ;]*\\) .*/\\1/p",
    )
