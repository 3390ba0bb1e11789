"""The races on the command line: what `make bench` runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
from rich.console import Console

from bench import cold, gateway, racers, report
from bench.measure import PROJECT, Racer, Result, race
from bench.profiles import PROFILES
from bench.proxy import Proxy
from bench.racers import AHEAD, STOCK, WITHOUT
from bench.site import Site, Way, environment, inside, script_of
from signalbox.engine.readahead.record import Record
from tests.lab import hosts
from tests.lab.instance import Lab
from tests.lab.machine import require_machine

RESULTS = PROJECT / "bench" / "results"
DRIFT = "/etc/signalbox/lanes.json"
ROUND_TRIP = 0.05  # seconds
progress = Console(stderr=True, highlight=False)


def _say(text: str) -> None:
    progress.print(text, soft_wrap=True)


def _unchanged(name: str) -> Callable[[str], object]:
    """Return the check that a run has changed nothing: what raced must have been the same race."""

    def check(stdout: str) -> None:
        if name in (racers.PIPELINED, racers.MITOGEN):
            changed = stdout.count("changed: [")
        else:
            told = json.loads(stdout)
            changed = sum(len(each["success"]) for each in told["results"]["operations"])
        if changed:
            raise RuntimeError(f"{name} changed {changed} things on converged hosts:\n{stdout[-3000:]}")

    return check


def _checked(several: Sequence[Racer]) -> list[Racer]:
    return [replace(each, check=_unchanged(each.name)) for each in several]


class Bench:
    """The races, on hosts that are converged: `names` to the defaults, and one host for each profile."""

    def __init__(self, names: Sequence[str], prefix: str, rounds: int, quick: bool) -> None:
        self.names, self.rounds, self.quick = list(names), rounds, quick
        self.profiled = {profile: f"{prefix}-{profile}" for profile in PROFILES}
        self.bare, self.gateway_host = f"{prefix}-bare", f"{prefix}-gateway"
        of_host = {name: PROFILES[profile] for profile, name in self.profiled.items()}
        self.site = Site(names, {**of_host, self.bare: PROFILES[cold.PROFILE]})
        self.secrets = environment()

    def converge(self, names: Sequence[str]) -> None:
        """Deploy until a plan of these hosts is clean; the last run also leaves the records of facts."""
        hosts.up(names)
        _say(f"deploying to {', '.join(names)}")
        way = self.site.way("direct", names, converged=False)
        for _ in range(3):
            (run,) = racers.pyinfra(way, self.secrets, AHEAD)
            run.run()
            told = self._changes(run)
            if not told:
                return
        raise RuntimeError(f"the hosts do not converge: {told}")

    def _changes(self, run: Racer) -> str:
        try:
            Racer(run.name, run.command, run.environment, check=_unchanged(AHEAD)).run()
        except RuntimeError as error:
            return str(error)
        return ""

    def no_change(self, number: int, delay: float = 0.0) -> list[Result]:
        """So many converged hosts, at once; with `delay` seconds more of round-trip time."""
        names = self.names[:number]
        proxies = {name: Proxy((hosts.address(name), 22), delay) for name in names} if delay else None
        label = f"race-{number}-{int(delay * 1000)}"
        way = self.site.way(label, names, proxies)
        floor = self._floor(way, names[0])
        tools = [*racers.pyinfra(way, self.secrets, STOCK, WITHOUT, AHEAD), *self._ansible(way)]
        return race([*(floor if number == 1 else floor[:2]), *_checked(tools)], self.rounds, _say)

    def profile(self, profile: str) -> list[Result]:
        """A host of this profile, against the floors alone."""
        name = self.profiled[profile]
        self.converge([name])
        way = self.site.way(f"race-{profile}", [name], converged=False)
        ours = _checked(racers.pyinfra(way, self.secrets, AHEAD))
        return race([*self._floor(way, name), *ours], self.rounds, _say)

    def gateway(self) -> list[gateway.First]:
        """The first byte of an answer through a host's gateway, against LiteLLM as it comes."""
        name = self.gateway_host
        hosts.up([name])  # the server needs the lab's network
        with gateway.server() as url:
            self.site.profiles = {**self.site.profiles, name: gateway.settings(url)}
            self.converge([name])
            with gateway.stock(name, url):
                return gateway.race(name)

    def cold(self) -> list[Result]:
        """A bare host becomes what the host of the profile is."""
        reference = self.profiled[cold.PROFILE]
        self.converge([reference])
        return race(cold.racers(self.site, self.bare, reference), 2, _say, warm=False)

    def _floor(self, way: Way, name: str) -> list[Racer]:
        questions = Record(name, str(PROJECT / "deploy.py")).load()
        asked = script_of([each.command for each in questions])
        return [racers.start(), racers.ssh(way, name), racers.script(way, name, asked)]

    def _ansible(self, way: Way, **how: Any) -> list[Racer]:
        return [] if self.quick else racers.ansible(way, **how)

    def drift(self) -> list[Result]:
        """One host on which one file was edited."""
        name = self.names[0]
        way = self.site.way("drift", [name])

        def spoil() -> None:
            inside(name, f"echo '# edited by hand' >> {DRIFT}")

        tools = racers.pyinfra(way, self.secrets, WITHOUT, AHEAD, before=spoil)
        return race(
            [racers.start(), racers.ssh(way, name), *tools, *self._ansible(way, before=spoil)], self.rounds, _say
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Of a run that changes nothing on one host: remote commands, round trips, bytes, which no load distorts."""
        name = self.names[0]
        rule = "/etc/ssh/sshd_config.d/00-bench.conf"
        inside(name, f"echo 'LogLevel VERBOSE' > {rule}; systemctl reload ssh")
        counted: dict[str, dict[str, int]] = {}
        try:
            for number in range(6):
                proxy = Proxy((hosts.address(name), 22))
                # Its own control path and port: what Ansible keeps open between runs must count here.
                way = self.site.way(f"counts-{number}", [name], {name: proxy})
                tools = [
                    racers.ssh(way, name),
                    *racers.pyinfra(way, self.secrets, STOCK, WITHOUT, AHEAD),
                    *self._ansible(way),
                ]
                if number >= len(tools):
                    break
                before = self._sessions(name)
                tools[number].run()
                counted[tools[number].name] = {
                    "remote commands": self._sessions(name) - before,
                    "round trips": proxy.counts.turns,
                    "bytes": proxy.counts.bytes,
                }
                _say(f"{tools[number].name}: {counted[tools[number].name]}")
        finally:
            inside(name, f"rm {rule}; systemctl reload ssh")
        return counted

    def _sessions(self, name: str) -> int:
        return int(
            inside(name, "journalctl --sync; journalctl --no-pager -o cat | grep -c '^Starting session' || true")
        )

    def simulated(self, number: int) -> list[Result]:
        """So many simulated hosts: nothing but this machine's processor."""
        inventory = self.site.simulated(number)
        contenders = racers.pyinfra(inventory, self.secrets, STOCK, WITHOUT, AHEAD)
        return race(contenders, max(2, self.rounds // 2), _say, warm=False)


def _commit() -> str:
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--hosts", "number", default=5, show_default=True, help="So many lab hosts.")
@click.option("--prefix", default="race", show_default=True, help="Of the hosts' names, which are the machine's.")
@click.option("--rounds", default=5, show_default=True, help="Each contender runs once a round; medians count.")
@click.option("--simulated", default=100, show_default=True, help="So many simulated hosts.")
@click.option("--only", multiple=True, type=click.Choice(report.RACES), help="Only this race; may be given again.")
@click.option("--quick", is_flag=True, help="Without Ansible, which takes most of the time.")
@click.option("--keep", is_flag=True, help="Leave the hosts up.")
def main(number: int, prefix: str, rounds: int, simulated: int, only: Sequence[str], quick: bool, keep: bool) -> None:
    """Race on lab hosts of this machine, as root, and write bench/results/ and the figures of docs/performance.md."""
    require_machine()
    os.environ.setdefault("SIGNALBOX_LAB", "bench")
    names = [f"{prefix}{each + 1}" for each in range(number)]
    bench = Bench(names, prefix, rounds, quick)
    several = f"no-change-{number}"
    todo: dict[str, Callable[[], Any]] = {
        "no-change-1": lambda: bench.no_change(1),
        **{f"no-change-{profile}": partial(bench.profile, profile) for profile in PROFILES},
        "no-change-1-slow": lambda: bench.no_change(1, ROUND_TRIP),
        several: lambda: bench.no_change(number),
        "drift-1": bench.drift,
        "counts": bench.counts,
        "simulated": lambda: bench.simulated(simulated),
        "cold": bench.cold,
        "gateway": bench.gateway,
    }
    needed = {"no-change-1": 1, "no-change-1-slow": 1, "drift-1": 1, "counts": 1, "no-change-many": number}
    if converged := max((needed.get(name, 0) for name in only or needed), default=0):
        bench.converge(names[:converged])
    results: dict[str, Any] = {}
    told = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": _commit(),
        "processors": os.cpu_count(),
        "rounds": rounds,
        "simulated hosts": simulated,
        "races": results,
    }
    for name, run in todo.items():
        race_name = "no-change-many" if name == several and number > 1 else name
        if only and race_name not in only:
            continue
        progress.rule(race_name, align="left")
        results[race_name] = {"load": round(os.getloadavg()[0], 1), "hosts": number, "results": run()}
        report.save(RESULTS, told)  # after each race: what is known is kept
        report.publish(RESULTS, PROJECT / "docs")
    click.echo(f"results: {RESULTS.relative_to(PROJECT)}/, docs/performance.md")
    if not keep:
        hosts.down(
            [name for name in (*names, *bench.profiled.values(), bench.bare, bench.gateway_host) if hosts.exists(name)]
        )
        if not Lab.current().hosts():
            hosts.down()


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m bench"))
