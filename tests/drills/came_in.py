"""Who came in lately meets the new rules as a packet, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.drills import looks
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import Stage, lab_host

CAME = lab_host("came")
SHUT, KNOWN, LAN = "203.0.113.7", "198.51.100.9", "10.9.8.7"
BY_WTMPDB = "203.0.113.8"
# A record of wtmp(5), which wtmpdb's own program reads into its database: type, line, id, user, host, time, address.
RECORD = 'pack("s x2 l a32 a4 a32 a256 s2 l l l a16 x20", 7, 1, "pts/0", "x", "theirs", "{0}", 0, 0, 0, time, 0,'
RECORD += ' pack("C4", split /\\./, "{0}"))'
SSH_FROM = ["lan", KNOWN]
UNTRIED = "were not tried as packets"


def _root(command: str) -> str:
    return looks.answer(command, host=CAME, user="root")


def came_in(stage: Stage) -> Figures:
    """Each address of the last logins is tried as a packet: one that the rules shut out stops a first deploy."""
    stage.bare(CAME)
    for address in (SHUT, KNOWN, LAN):
        _root(f"logger -t sshd-session 'Accepted publickey for root from {address} port 4022 ssh2: ED25519 SHA256:x'")
    _root(
        "apt-get -q update >/dev/null; DEBIAN_FRONTEND=noninteractive apt-get -yq --no-install-recommends install"
        f" wtmpdb libpam-wtmpdb >/dev/null 2>&1 && perl -e {looks.quoted(f'print {RECORD.format(BY_WTMPDB)}')}"
        " > /root/wtmp && wtmpdb import /root/wtmp"
    )
    looks.mark(host=CAME)

    def refused(*names: str, **firewall: Any) -> Callable[[], str]:
        """Return what looks whether plan and deploy end for these alone, and change nothing."""

        def look() -> str:
            site = stage.site(CAME, settings={"firewall": {"ssh_from": SSH_FROM, **firewall}})
            for run in (site.signalbox("plan"), site.deploy()):
                told = run.stdout + run.stderr
                named = [each for each in (SHUT, KNOWN, LAN) if f"logins of root from {each}" in told]
                named += [BY_WTMPDB] if f"logins of theirs from {BY_WTMPDB}" in told else []
                assert (run.status, named) == (1, list(names)), f"{named}: {told[-3000:]}"
            written = [path for path in looks.written(host=CAME) if not path.startswith("/root")]
            assert not written, written
            return told

        return look

    assert UNTRIED not in refused(SHUT, BY_WTMPDB)()
    # By the address alone all but one would be let in; not one comes by this interface.
    assert UNTRIED not in refused(SHUT, KNOWN, LAN, BY_WTMPDB, ssh_interfaces=["their-vpn"])()
    left = _root("ip -br link | grep -v -e ^lo -e ^host0 || true; nft list tables")
    assert not left, f"left of the trial: {left}"
    _root("mv /usr/sbin/nft /root/nft")
    looks.mark(host=CAME)
    assert UNTRIED in refused(SHUT, BY_WTMPDB, ssh_interfaces=["their-vpn"])()
    _root("mv /root/nft /usr/sbin/nft")
    said = {"firewall": {"ssh_from": SSH_FROM, "shut": [SHUT, BY_WTMPDB]}}
    plan = stage.site(CAME, settings=said).signalbox("plan")
    assert plan.status == 2, plan.stdout[-3000:]
    assert f"logins of root from {SHUT}: reached by others → shut" in plan.stdout, plan.stdout[-3000:]
    said_of_it = f"logins of theirs from {BY_WTMPDB}: reached by others → shut"
    assert said_of_it in plan.stdout, plan.stdout[-3000:]
    control = must_fail(refused(SHUT, BY_WTMPDB, shut=[SHUT, BY_WTMPDB]), "the settings' word")
    stage.discard(CAME)
    return {
        "named": f"{SHUT}, {BY_WTMPDB} (wtmpdb's); by another interface {KNOWN}, {LAN} too",
        "without nft": "compared, and said so",
        "left of the trial": "nothing",
        "control": control,
    }
