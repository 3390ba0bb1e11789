"""What a host becomes: the ordered tasks, a reason beside each fixed order."""

from __future__ import annotations

from pyinfra import host

from signalbox.certify.known import uncertified
from signalbox.desired import addresses, gateway_config, health
from signalbox.desired.context_readings import readings
from signalbox.desired.lanes import lane_records
from signalbox.desired.model_server import model_files
from signalbox.desired.needs import machine_needs
from signalbox.desired.packages import packages, packages_added
from signalbox.desired.routing import routing_table
from signalbox.desired.secret_names import gateway_secrets, lane_secrets
from signalbox.engine.changes import may_replace
from signalbox.engine.deploy_scope import at_the_end
from signalbox.engine.logins import deploy_user
from signalbox.fleet import from_the_gateway
from signalbox.operations.guarded import Proof
from signalbox.settings import settings_for

from ..base import base, clocks
from ..by_hand import by_hand
from ..doctor import doctor
from ..fail2ban import fail2ban
from ..firewall import firewall
from ..gateway import gateway
from ..gpu import gpu, gpu_of
from ..guard import guard
from ..hardening import hardening
from ..launchers import launchers
from ..leftovers import leftovers
from ..model_server import model_server
from ..models import models
from ..preflight import preflight
from ..programs import programs
from ..rootless_docker import rootless_docker
from ..secrets import secrets
from ..service_user import service_user
from ..ssh import ssh
from ..toolchain import toolchain


def run() -> None:
    """Deploy to the host that pyinfra works on."""
    s = settings_for(host)
    root = s.privileges()
    claude, gateway_account = s.service_account, s.gateway_account
    routing = routing_table(s)
    keys, lane_keys = s.secret_values(gateway_secrets(s, routing)), s.secret_values(lane_secrets(s))

    may_replace(s.replaces)
    # First, and read-only: a machine that cannot become a host is left as it is.
    needed = (*packages(s), *clocks(s.base))
    preflight(
        s.preflight,
        addresses.of_mirrors(s),
        addresses.of_backends(s),
        readings(s, routing),
        addresses.of_own(s),
        addresses.names_for_the_gateway(s),
        from_the_gateway.asked(s, routing),
        s.encrypts_secrets,
        needed,
        machine_needs(s),
        None if s.mirrors.debian else packages_added(s),
        **root,
    )
    # CAs and packages: every download after this needs them.
    base(s.base, tuple(s.extra_ca_certificates), s.mirrors, **root)
    # The users, with linger: Docker and the gateway run in their systemd managers.
    login = s.secret(s.service_user.password) if s.service_user.password else None
    service_user(s.service_user, claude, (gateway_account,) if gateway_account != claude else (), login, **root)
    # Who gets in, once the users are there whose fresh logins prove it; the guard first: it takes back what locks out.
    prover = claude.name if s.has_agent else deploy_user(host)
    proof = Proof(prover, s.guard.login_seconds, s.guard.enabled)
    guard(s.guard, **root)
    firewall(s.firewall, claude.name, addresses.of_service_user(s), proof, **root)
    ssh(s.ssh, deploy_user(host), proof, **root)
    fail2ban(s.fail2ban, tuple(s.firewall.ssh_ports), **root)
    container = gateway_config.container(s, routing)
    images = {gateway_account.name: container.image} if s.gateway.enabled else {}
    rootless_docker(s.rootless_docker, s.docker_accounts, s.mirrors.docker, images, **root)
    # Files before the server, which loads one; the cards before both: they decide over what is fetched.
    served, cards, files = s.model_server, gpu_of(s.model_server), model_files(s.model_server, s.mirrors)
    gpu(served, cards, **root)
    models(served, files, cards, **root)
    api_key = s.secret(served.api_key) if served.enabled and served.api_key else None
    model_server(served, s.mirrors, cards, s.model_account, files, api_key, **root)
    # Before all that takes its place: the gateway wants the port, launchers the names.
    by_hand(s.by_hand, claude, **root)
    toolchain(s.toolchain, s.pins, s.mirrors, claude, bool(s.extra_ca_certificates), **root)
    # Keys before the gateway, which does not start without them.
    aside = tuple(s.by_hand.files) if s.by_hand.enabled else ()
    secrets(s.secrets, keys, lane_keys, gateway_account, claude, health.kept_from_shells(s, routing), aside, **root)
    gateway(s.gateway, gateway_account, claude, container, s.secrets, keys, **root)
    # After the packages: needrestart looks at each transaction that comes after it.
    homes = tuple(dict.fromkeys((claude, gateway_account))) if s.has_agent else ()
    hardening(s.hardening, homes, proof, **root)
    programs(s.launchers.enabled or s.doctor.enabled, **root)
    # After all that they use: a launcher that is there works.
    launchers(s.launchers, lane_records(s, routing), claude, **root)
    # After all that it looks at.
    doctor(s.doctor, claude, health.expected(s, routing, packages(s)), uncertified(s), **root)
    # Last: by now every task has stated what it wants.
    leftovers(s.leftovers, proof, **root)
    # Once all of it is done.
    at_the_end(from_the_gateway.tell)
