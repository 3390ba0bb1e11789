"""Ways in which a converged host can drift, each with a look that tells it from a sound one."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.shell.secret_files import reader
from tests.drills.looks import GATEWAY_USER

HOME = "/home/claude"
CONFIG = f"{HOME}/.config"
# The gateway is another user's, with a Docker of its own.
KEEPER_CONFIG = f"/home/{GATEWAY_USER}/.config"
GATEWAY = f"{KEEPER_CONFIG}/signalbox/gateway"
BINARY = "$(readlink -f /home/claude/.local/bin/claude)"
AS_CLAUDE = "systemctl --user --machine=claude@.host"
AS_KEEPER = f"systemctl --user --machine={GATEWAY_USER}@.host"
FOR_CLAUDE = "runuser -u claude -- env XDG_RUNTIME_DIR=/run/user/$(id -u claude)"
DOCKER = f"runuser -u {GATEWAY_USER} -- env DOCKER_HOST=unix:///run/user/$(id -u {GATEWAY_USER})/docker.sock docker"
# What the running gateway serves, and a configuration's line for one model more.
KEY = f"{GATEWAY}/secrets/ANTHROPIC_DIRECT_KEY.cred"  # encrypted for that user on that host
FOR_KEEPER = f"runuser -u {GATEWAY_USER} --"
THEIR_GATEWAY_KEY = f"{FOR_KEEPER} {reader(f'{GATEWAY}/secrets/LITELLM_MASTER_KEY.cred')}"
OUR_GATEWAY_KEY = f"runuser -u claude -- {reader(f'{CONFIG}/signalbox/gateway.cred')}"
MODELS = (
    f"printf 'Authorization: Bearer %s' \"$({THEIR_GATEWAY_KEY})\" | curl -fs -H @- http://127.0.0.1:4000/v1/models"
)
OTHER_MODEL = r"model_list:\n- {model_name: drill-model, litellm_params: {model: openai/none, api_key: none}}"


@dataclass(frozen=True)
class Tamper:
    """One way to drift.

    title: what was done. drift: shell that does it, as root. sound: shell that ends with 0 only on a sound host.
    named: what the plan's operation names must hold, each of them.
    """

    title: str
    drift: str
    sound: str
    named: tuple[str, ...]


def _edited(path: str) -> str:
    return f"echo '# edited by hand' >> {path}"


def _unedited(path: str) -> str:
    return f"test -s {path} && ! grep -q 'edited by hand' {path}"


TAMPERS: dict[str, Tamper] = {
    "config-file": Tamper(
        "the gateway's configuration was edited",
        _edited(f"{GATEWAY}/config.yaml"),
        _unedited(f"{GATEWAY}/config.yaml"),
        ("config.yaml is in place",),
    ),
    "config-running": Tamper(
        "the gateway runs with a configuration that is no longer on disk",
        f"cp -a {GATEWAY}/config.yaml /root/kept && sed -i 's|^model_list:$|{OTHER_MODEL}|' {GATEWAY}/config.yaml"
        f" && {AS_KEEPER} restart litellm.service && mv /root/kept {GATEWAY}/config.yaml",
        f"{MODELS} | grep -q claude-sonnet-4-6 && ! {MODELS} | grep -q drill-model",
        ("litellm.service is enabled and runs what is on disk",),
    ),
    "unit-file": Tamper(
        "the gateway's unit was edited",
        _edited(f"{KEEPER_CONFIG}/systemd/user/litellm.service"),
        _unedited(f"{KEEPER_CONFIG}/systemd/user/litellm.service"),
        ("litellm.service is in place",),
    ),
    "unit-removed": Tamper(
        "Docker's unit was removed",
        f"rm {CONFIG}/systemd/user/docker.service",
        f"test -s {CONFIG}/systemd/user/docker.service && {AS_CLAUDE} is-active docker.service",
        ("docker.service is in place",),
    ),
    "launcher": Tamper(
        "the launchers' program was edited",
        _edited("/usr/local/lib/signalbox/launcher/launch.py"),
        _unedited("/usr/local/lib/signalbox/launcher/launch.py"),
        ("the launchers' programs are in place",),
    ),
    "launcher-link": Tamper(
        "a launcher was replaced by a program of its own",
        "rm /usr/local/bin/claude-local && printf '#!/bin/sh\\nexit 0\\n' > /usr/local/bin/claude-local"
        " && chmod 755 /usr/local/bin/claude-local",
        "test \"$(readlink /usr/local/bin/claude-local)\" = /usr/local/lib/signalbox/launcher/launch.py",
        ("each lane and each tool has its command",),
    ),
    "package": Tamper(
        "a package was removed",
        "DEBIAN_FRONTEND=noninteractive apt-get -q -y remove ripgrep",
        "rg --version",
        ("base packages are installed",),
    ),
    "mode": Tamper(
        "a file that root owns was made writable by all",
        "chmod 666 /etc/signalbox/lanes.json",
        "test \"$(stat -c %a /etc/signalbox/lanes.json)\" = 644",
        ("the lanes are known",),
    ),
    "owner": Tamper(
        "a file that root owns was given to the agent",
        "chown claude:claude /etc/signalbox/lanes.json",
        "test \"$(stat -c %U:%G /etc/signalbox/lanes.json)\" = root:root",
        ("the lanes are known",),
    ),
    "secret-file": Tamper(
        "the provider's key was changed",
        f"echo changed | {FOR_KEEPER} systemd-creds --user encrypt --name=ANTHROPIC_DIRECT_KEY - {KEY}",
        f"{FOR_KEEPER} {reader(KEY)} | grep -q . && ! {FOR_KEEPER} {reader(KEY)} | grep -q changed",
        ("the gateway has ANTHROPIC_DIRECT_KEY",),
    ),
    "secret-of-elsewhere": Tamper(
        "the provider's key was replaced by a file that another host or user encrypted",
        "echo x | runuser -u claude -- systemd-creds --user encrypt --name=ANTHROPIC_DIRECT_KEY - -"
        f" | {FOR_KEEPER} tee {KEY}",
        f"{FOR_KEEPER} {reader(KEY)} | grep -q .",
        ("the gateway has ANTHROPIC_DIRECT_KEY",),
    ),
    "secret-mode": Tamper(
        "the provider's key was made readable by all",
        f"chmod 644 {KEY}",
        f"test \"$(stat -c %a {KEY})\" = 600",
        ("the gateway has ANTHROPIC_DIRECT_KEY",),
    ),
    "gateway-key": Tamper(
        "the gateway's own key was lost, and with it what the launchers know",
        f"rm {GATEWAY}/secrets/LITELLM_MASTER_KEY.cred",
        f"test -n \"$({THEIR_GATEWAY_KEY})\" && test \"$({THEIR_GATEWAY_KEY})\" = \"$({OUR_GATEWAY_KEY})\"",
        ("the gateway has a key of its own",),
    ),
    "claude-binary": Tamper(
        "Claude Code was replaced by another program",
        f"b={BINARY} && rm $b && install -o claude -g claude -m 755 /bin/true $b",
        f"{FOR_CLAUDE} {BINARY} --version | grep -q 'Claude Code'",
        ("Claude Code", "is installed"),
    ),
    "claude-link": Tamper(
        "the agent's claude was made a program of its own",
        f"{FOR_CLAUDE} sh -c 'ln -sfT /bin/true {HOME}/.local/bin/claude'",
        f"{FOR_CLAUDE} {HOME}/.local/bin/claude --version | grep -q 'Claude Code'",
        ("claude is Claude Code",),
    ),
    "node-own": Tamper(
        "the agent put a node of its own in the place of the pinned one",
        f"{FOR_CLAUDE} sh -c 'b=$(ls -d {HOME}/.local/share/mise/installs/node/*.*.*/bin/node)"
        " && cp /bin/true $b.x && mv -f $b.x $b'",
        f"{FOR_CLAUDE} sh -c '{HOME}/.local/share/mise/installs/node/*.*.*/bin/node --version' | grep -q ^v",
        ("claude: node", "is installed"),
    ),
    "node-removed": Tamper(
        "Node was removed",
        f"rm -rf {HOME}/.local/share/mise/installs/node/*",
        f"{FOR_CLAUDE} HOME={HOME} sh -c 'ls {HOME}/.local/share/mise/installs/node/*/bin/node && "
        f"{HOME}/.local/share/mise/shims/node --version'",
        ("node", "is installed"),
    ),
    "managed-settings": Tamper(
        "the managed settings that keep the updater off were removed",
        "rm /etc/claude-code/managed-settings.d/50-signalbox.json",
        "test -s /etc/claude-code/managed-settings.d/50-signalbox.json",
        ("Claude Code's own updater is off",),
    ),
    "shell-line": Tamper(
        "the line in ~/.bashrc was removed",
        f"sed -i 1d {HOME}/.bashrc",
        f"head -n1 {HOME}/.bashrc | grep -q signalbox",
        ("~/.bashrc loads it",),
    ),
    "gateway-stopped": Tamper(
        "the gateway was stopped",
        f"{AS_KEEPER} stop litellm.service",
        f"{AS_KEEPER} is-active litellm.service",
        ("litellm.service is enabled and runs what is on disk",),
    ),
    "gateway-disabled": Tamper(
        "the gateway was disabled: it runs, but not after the next boot",
        f"{AS_KEEPER} disable litellm.service",
        f"{AS_KEEPER} is-enabled litellm.service",
        ("litellm.service is enabled and runs what is on disk",),
    ),
    "docker-stopped": Tamper(
        "Docker was stopped",
        f"{AS_KEEPER} stop docker.service",
        f"{AS_KEEPER} is-active docker.service litellm.service",
        ("docker.service is enabled and runs what is on disk",),
    ),
    "image-removed": Tamper(
        "the gateway's image was removed",
        f"{AS_KEEPER} stop litellm.service && {DOCKER} image rm --force $({DOCKER} image ls --quiet)",
        f"{AS_KEEPER} is-active litellm.service",
        ("the gateway's image is there",),
    ),
    "linger-off": Tamper(
        "linger was turned off",
        "loginctl disable-linger claude",
        "test -e /var/lib/systemd/linger/claude",
        ("services of claude start at boot",),
    ),
    "authorized-key": Tamper(
        "the authorized key was removed",
        f": > {HOME}/.ssh/authorized_keys",
        f"test -s {HOME}/.ssh/authorized_keys",
        ("claude has its authorized keys",),
    ),
    "subordinate-ids": Tamper(
        "the subordinate ids were removed",
        "sed -i /^claude:/d /etc/subuid /etc/subgid",
        "grep -q ^claude: /etc/subuid && grep -q ^claude: /etc/subgid",
        ("user claude has subordinate ids",),
    ),
    "root-docker": Tamper(
        "root's own Docker was unmasked",
        "systemctl unmask docker.service",
        "test \"$(systemctl is-enabled docker.service)\" = masked",
        ("root's docker.service is off",),
    ),
    "ca-removed": Tamper(
        "the extra CA certificates were removed",
        "rm /usr/local/share/ca-certificates/signalbox-*.crt && update-ca-certificates",
        "ls /usr/local/share/ca-certificates/signalbox-*.crt && ls /etc/ssl/certs/signalbox-*.pem",
        ("CA certificate", "is in place"),
    ),
    "directory-mode": Tamper(
        "the directory of the secrets was opened",
        f"chmod 755 {GATEWAY}",
        f"test \"$(stat -c %a {GATEWAY})\" = 700",
        ("secrets have their directories",),
    ),
    "firewall-file": Tamper(
        "the firewall's rules were edited",
        _edited("/etc/signalbox/firewall.nft"),
        _unedited("/etc/signalbox/firewall.nft"),
        ("the firewall is as the settings say",),
    ),
    "firewall-loaded": Tamper(
        "a port was opened in the loaded rules, and in no file",
        "nft insert rule inet signalbox input tcp dport 8080 accept",
        "nft list table inet signalbox | grep -q 'policy drop' && ! nft list table inet signalbox | grep -q 8080",
        ("the firewall is as the settings say",),
    ),
    "firewall-flushed": Tamper(
        "every table of nftables was flushed",
        "nft flush ruleset",
        "nft list table inet signalbox | grep -q 'policy drop'",
        ("the firewall is as the settings say",),
    ),
    "firewall-disabled": Tamper(
        "the firewall was disabled: it is loaded, but not after the next boot",
        "systemctl disable signalbox-firewall.service",
        "systemctl is-enabled signalbox-firewall.service",
        ("the firewall is loaded at every boot",),
    ),
    "sshd-file": Tamper(
        "sshd's drop-in was edited and loaded: passwords let in again",
        "sed -i 's/^PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-signalbox.conf"
        " && systemctl reload ssh",
        "sshd -T | grep -qx 'passwordauthentication no'",
        ("sshd is configured as the settings say",),
    ),
    "sshd-removed": Tamper(
        "sshd's drop-in was removed, and sshd has not read that yet",
        "rm /etc/ssh/sshd_config.d/00-signalbox.conf",
        "sshd -T | grep -qx 'permitrootlogin without-password' && sshd -T | grep -qx 'maxauthtries 3'"
        " && test -z \"$(find /etc/ssh/sshd_config.d -cnewer /run/sshd.pid)\"",
        ("sshd is configured as the settings say",),
    ),
    "guard": Tamper(
        "the guard was replaced by a program that does nothing",
        "printf '#!/bin/sh\\nexit 0\\n' > /usr/local/lib/signalbox/guard",
        "grep -q restore /usr/local/lib/signalbox/guard",
        ("the guard is in place",),
    ),
    "guard-disabled": Tamper(
        "the guard was disabled: it would not act at boot",
        "systemctl disable signalbox-guard.service",
        "systemctl is-enabled signalbox-guard.service",
        ("the guard runs at every boot",),
    ),
    "fail2ban-limits": Tamper(
        "fail2ban's limits were edited and loaded",
        "sed -i 's/^maxretry = .*/maxretry = 500/' /etc/fail2ban/jail.d/signalbox.local && fail2ban-client reload",
        "test \"$(fail2ban-client get sshd maxretry)\" = 5",
        ("fail2ban's limits are as the settings say",),
    ),
    "fail2ban-stopped": Tamper(
        "fail2ban was stopped",
        "systemctl stop fail2ban",
        "systemctl is-active fail2ban",
        ("fail2ban is enabled and runs what is on disk",),
    ),
    "fail2ban-sandbox": Tamper(
        "fail2ban's sandbox was removed",
        "rm /etc/systemd/system/fail2ban.service.d/50-signalbox.conf && systemctl daemon-reload"
        " && systemctl restart fail2ban",
        "test \"$(systemctl show -p ProtectSystem --value fail2ban)\" = strict",
        ("fail2ban has its sandbox",),
    ),
    "sysctl-file": Tamper(
        "the kernel's settings were edited",
        _edited("/etc/sysctl.d/60-signalbox.conf"),
        _unedited("/etc/sysctl.d/60-signalbox.conf"),
        ("the kernel's settings are in effect",),
    ),
    "sysctl": Tamper(
        "a kernel setting was changed, and no file",
        "sysctl -qw net.ipv4.conf.all.send_redirects=1",
        "test \"$(sysctl -n net.ipv4.conf.all.send_redirects)\" = 0",
        ("the kernel's settings are in effect",),
    ),
    "blocked-modules": Tamper(
        "the blocked kernel modules were let in",
        ": > /etc/modprobe.d/signalbox-blocked.conf",
        "grep -q dccp /etc/modprobe.d/signalbox-blocked.conf",
        ("the file that blocks kernel modules is in place",),
    ),
    "core-dumps": Tamper(
        "core dumps were switched on again",
        "rm /etc/security/limits.d/50-signalbox.conf",
        "grep -q core /etc/security/limits.d/50-signalbox.conf",
        ("switches core dumps of logins off",),
    ),
    "home-mode": Tamper(
        "the agent's home was opened to all",
        f"chmod 755 {HOME}",
        f"test \"$(stat -c %a {HOME})\" = 700",
        ("the home of claude is private",),
    ),
    "banner": Tamper(
        "the console's banner was changed",
        "echo changed > /etc/issue",
        "grep -q authorized /etc/issue",
        ("/etc/issue has the banner",),
    ),
    **{
        name: Tamper(f"{what} was edited", _edited(path), _unedited(path), (named,))
        for name, (what, path, named) in {
            "guard-service": (
                "the guard's unit", "/etc/systemd/system/signalbox-guard.service", "the guard's service is in place"
            ),
            "guard-timer": (
                "the guard's timer", "/etc/systemd/system/signalbox-guard.timer", "the guard's timer is in place"
            ),
            "firewall-unit": (
                "the firewall's unit", "/etc/systemd/system/signalbox-firewall.service", "a unit of its own"
            ),
            "fail2ban-action": (
                "what a ban does",
                "/etc/fail2ban/action.d/signalbox-nftables.conf",
                "bans do not hold for our own networks",
            ),
            "nftables-firewall": (
                "the drop-in that loads the rules again",
                "/etc/systemd/system/nftables.service.d/50-signalbox-firewall.conf",
                "the firewall has a word with Debian's own",
            ),
            "nftables-fail2ban": (
                "the drop-in that bans again", "/etc/systemd/system/nftables.service.d/50-signalbox-fail2ban.conf",
                "bans come back",
            ),
            "core-dumps-services": (
                "systemd-coredump's drop-in", "/etc/systemd/coredump.conf.d/50-signalbox.conf", "of services off"
            ),
            "core-dumps-shells": (
                "the shells' limit", "/etc/profile.d/signalbox-core.sh", "of shells off"
            ),
            "banner-network": (
                "the banner for the network", "/etc/issue.net", "/etc/issue.net has the banner"
            ),
            "debsums": (
                "debsums' schedule", "/etc/default/debsums", "compared with their packages weekly"
            ),
            "upgrades": (
                "the schedule of upgrades", "/etc/apt/apt.conf.d/60signalbox-upgrades", "installed unattended"
            ),
        }.items()
    },
}  # fmt: skip

# What is there with firewall.egress and hardening.reboot_at alone.
OPTIONAL = {
    path: Tamper(f"{path} was edited", _edited(path), _unedited(path), (named,))
    for path, named in {
        "/usr/local/lib/signalbox/egress": "what looks names up for the firewall",
        "/etc/systemd/system/signalbox-egress.service": "its service is in place",
        "/etc/systemd/system/signalbox-egress.timer": "its timer is in place",
        "/etc/apt/apt.conf.d/61signalbox-reboot": "updates that need a reboot have it",
    }.items()
}
