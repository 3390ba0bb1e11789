"""Ways to break a converged host: what each is called, what it does, and what cures it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.drills.looks import GATEWAY_USER
from tests.drills.tampers import (
    AS_CLAUDE,
    AS_KEEPER,
    BINARY,
    CONFIG,
    DOCKER,
    FOR_CLAUDE,
    GATEWAY,
    HOME,
    KEEPER_CONFIG,
    KEY,
)
from tests.lab.simulators.personalities.lm_studio_models import MODEL

FIX, DEPLOY, SAME = "fix", "deploy", "same"
ROUTED = f"{HOME}/.claude-routed/settings.json"
LANE_STATE = f"{HOME}/.claude-routed/.claude.json"
OUR_KEY = f"{CONFIG}/signalbox/gateway.cred"
UNIT = f"{KEEPER_CONFIG}/systemd/user/litellm.service"
LANES = "/etc/signalbox/lanes.json"
SSHD = "/etc/ssh/sshd_config.d"


@dataclass(frozen=True)
class Break:
    """One way to break a host.

    title: what was done. symptom: the one cause that must be named. do: shell, as root on the host.
    cure: FIX (claude-doctor promises it), DEPLOY, or shell that takes it back. agent: what the service user's own
    claude-doctor names; "" nothing, as only root sees it; None: asking it would undo the break.
    simulate: what to tell the simulated LM Studio instead: a fault's kind, or options.
    """

    title: str
    symptom: str
    do: str = ""
    cure: str = DEPLOY
    agent: str | None = SAME
    simulate: dict[str, Any] = field(default_factory=dict)


def _line(file: str, line: str) -> str:
    return f"printf '%s\\n' {json.dumps(line)} >> {HOME}/{file} && chown claude: {HOME}/{file}"


def _settings(file: str, **settings: object) -> str:
    text = json.dumps(settings)
    return (
        f"runuser -u claude -- sh -c 'mkdir -p $(dirname {file})'; [ ! -e {file} ] || cp -a {file} /root/kept-settings;"
        f" printf '%s' '{text}' > {file} && chown claude: {file}"
    )


def _given_back(file: str) -> str:
    return f"rm -f {file}; [ ! -e /root/kept-settings ] || mv /root/kept-settings {file}"


BREAKS: dict[str, Break] = {
    # ---- the host ----
    "user-manager": Break(
        "the user's systemd manager was stopped", "no-user-bus", "systemctl stop user@$(id -u claude)", FIX, agent=None
    ),
    "linger": Break(
        "lingering was turned off", "linger-off", "loginctl disable-linger claude", FIX
    ),
    "subordinate-ids": Break(
        "the subordinate ids were removed", "subordinate-ids", "sed -i /^claude:/d /etc/subuid /etc/subgid"
    ),
    "package": Break(
        "a package was removed", "packages-missing", "DEBIAN_FRONTEND=noninteractive apt-get -q -y remove ripgrep"
    ),
    "apt": Break(
        "an installation was broken off",
        "apt-interrupted",
        "sed -i '/^Package: ripgrep$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status",
        "dpkg --configure -a",
    ),
    "root-path": Break(
        "root's shell files lose /usr/sbin",
        "sbin-path",
        "touch /root/.profile; cp -a /root/.profile /root/kept && echo PATH=/usr/bin:/bin >> /root/.profile",
        "mv /root/kept /root/.profile",
        agent="",
    ),
    "disk": Break(
        "the temporary directory is full",
        "disk-full",
        "mount -t tmpfs -o size=4m tmpfs /tmp && head -c 4M /dev/zero > /tmp/full; true",
        "umount /tmp",
    ),
    "reboot": Break(
        "an update waits for a reboot", "reboot-pending", "touch /run/reboot-required", "rm /run/reboot-required"
    ),
    "root-docker": Break("root's own Docker was unmasked", "root-docker", "systemctl unmask docker.service", FIX),
    "keeper-gone": Break(
        "the gateway's user was renamed",
        "user-missing",
        f"sed -i s/^{GATEWAY_USER}:/drill-renamed:/ /etc/passwd",
        f"sed -i s/^drill-renamed:/{GATEWAY_USER}:/ /etc/passwd",
    ),
    "clock": Break(
        "the clock is not synchronised, on a host that owns it",  # a container's is the machine's below
        "clock",
        "mount --bind /bin/false /usr/bin/systemd-detect-virt",
        "umount /usr/bin/systemd-detect-virt",
    ),
    "home": Break("the service user's home was opened", "home-open", f"chmod 755 {HOME}", FIX),
    "timer-off": Break(
        "the timer that reports was turned off", "timer-off", f"{AS_CLAUDE} disable --now claude-doctor.timer", FIX
    ),
    # ---- what keeps others out ----
    "firewall-flushed": Break("the firewall was flushed", "firewall-off", "nft flush ruleset", FIX, agent=""),
    "firewall-rule": Break(
        "a port was opened in the running firewall",
        "firewall-off",
        "nft add rule inet signalbox input tcp dport 8888 accept",
        FIX,
        agent="",
    ),
    "firewall-disabled": Break(
        "the firewall's unit was disabled",
        "firewall-off",
        "systemctl disable signalbox-firewall.service",
        FIX,
        agent="",
    ),
    "firewall-edited": Break(
        "the firewall's file was edited", "placed-changed", "echo '# edited' >> /etc/signalbox/firewall.nft", agent=""
    ),
    "sshd-masked": Break(
        "sshd was masked",
        "sshd-off",
        # Without a reload: after one that follows a change of its links, systemd 257 loses sight of the running sshd.
        "ln -s /dev/null /etc/systemd/system/ssh.service",
        "rm /etc/systemd/system/ssh.service",
        agent="",
    ),
    "sshd-broken": Break(
        "sshd's configuration has a word that it does not know",
        "sshd-broken",
        f"echo 'NoSuchWord yes' > {SSHD}/99-drill.conf",
        f"rm {SSHD}/99-drill.conf",
        agent="",
    ),
    "sshd-overridden": Break(
        "another file lets root log in with a password",
        "sshd-overridden",
        f"echo 'PermitRootLogin yes' > {SSHD}/00-drill.conf && systemctl reload ssh.service",
        f"rm {SSHD}/00-drill.conf && systemctl reload ssh.service",
        agent="",
    ),
    "sshd-unread": Break(
        "sshd's configuration was changed and not read",
        "sshd-stale",
        f"echo 'X11DisplayOffset 11' > {SSHD}/99-drill.conf",
        f"rm {SSHD}/99-drill.conf",
        agent="",
    ),
    "sshd-drop-in": Break(
        "our file of sshd's was removed", "placed-missing", f"rm {SSHD}/00-signalbox.conf", agent=""
    ),
    "fail2ban-stopped": Break("fail2ban was stopped", "fail2ban-off", "systemctl stop fail2ban.service", FIX, agent=""),
    "fail2ban-disabled": Break(
        "fail2ban was disabled", "fail2ban-off", "systemctl disable fail2ban.service", FIX, agent=""
    ),
    "fail2ban-jail": Break(
        "fail2ban no longer watches sshd", "fail2ban-off", "fail2ban-client stop sshd", FIX, agent=""
    ),
    "fail2ban-flushed": Break(
        "a ban was flushed from the kernel",
        "fail2ban-off",
        # Of the documentation's range (RFC 5737).
        "fail2ban-client set sshd banip 203.0.113.9 && sleep 1 && nft delete table inet f2b-table",
        FIX,
        agent="",
    ),
    "guard-disabled": Break(
        "the guard was disabled", "guard-off", "systemctl disable signalbox-guard.service", FIX, agent=""
    ),
    "guard-restored": Break(
        "a change that locked out was taken back",
        "guard-restored",
        "/usr/local/lib/signalbox/guard arm drill /etc/motd < /dev/null && systemctl start signalbox-guard.service",
        "rm /var/lib/signalbox/guard/restored",
        agent="",
    ),
    "upgrades-timer": Break(
        "apt's timer was turned off", "upgrades-off", "systemctl disable --now apt-daily-upgrade.timer", FIX, agent=""
    ),
    "upgrades-source": Break(
        "apt's sources lost Debian's security archive",
        "upgrades-no-source",
        "sed -i 's/^Suites: trixie-security$/Suites: trixie-none/' /etc/apt/sources.list.d/debian.sources",
        "sed -i 's/^Suites: trixie-none$/Suites: trixie-security/' /etc/apt/sources.list.d/debian.sources",
        agent="",
    ),
    "upgrades-setting": Break(
        "another file turns unattended upgrades off",
        "upgrades-off",
        "echo 'APT::Periodic::Unattended-Upgrade \"0\";' > /etc/apt/apt.conf.d/99drill",
        "rm /etc/apt/apt.conf.d/99drill",
        agent="",
    ),
    "kernel-setting": Break(
        "a kernel setting was changed", "kernel-setting", "sysctl -qw net.ipv4.conf.all.accept_redirects=1", agent=""
    ),
    "sudo": Break(
        "the service user was given sudo",
        "sudo-given",
        "echo 'claude ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/drill",
        "rm /etc/sudoers.d/drill",
        agent="",
    ),
    "login-key": Break(
        "the service user's authorized key was removed",
        "login-key-missing",
        f": > {HOME}/.ssh/authorized_keys",
        agent=None,
    ),
    # ---- rootless Docker ----
    "docker-stopped": Break("Docker was stopped", "docker-down", f"{AS_CLAUDE} stop docker.service", FIX),
    "docker-disabled": Break("Docker was disabled", "docker-disabled", f"{AS_CLAUDE} disable docker.service", FIX),
    "docker-unit": Break(
        "Docker's unit was removed", "placed-missing", f"rm {CONFIG}/systemd/user/docker.service"
    ),
    "docker-config": Break(
        "Docker's configuration was edited while it runs", "docker-stale", f"echo >> {CONFIG}/docker/daemon.json"
    ),
    # ---- the gateway and its keys ----
    "gateway-stopped": Break(
        "the gateway was stopped", "gateway-down", f"{AS_KEEPER} stop litellm.service", FIX, agent="gateway-silent"
    ),
    "gateway-disabled": Break(
        "the gateway was disabled", "gateway-disabled", f"{AS_KEEPER} disable litellm.service", FIX, agent=""
    ),
    "gateway-edited": Break(
        "the gateway's configuration was edited while it runs",
        "gateway-stale",
        f"echo '# edited' >> {GATEWAY}/config.yaml",
        agent="",
    ),
    "gateway-config": Break(
        "the gateway's configuration is no YAML",
        "gateway-config",
        f"echo 'broken: [' >> {GATEWAY}/config.yaml; timeout 25 {AS_KEEPER} restart litellm.service;"
        # It tries, says why, and then serves what it had before.
        " for i in $(seq 60); do curl -fs http://127.0.0.1:4000/health/liveliness >/dev/null && break; sleep 2; done",
        agent="",
    ),
    "gateway-refused": Break(
        "a model of the gateway's configuration is of no kind that LiteLLM knows",
        "gateway-refused",
        f"sed -i 's|model: lm_studio/|model: nonesuch/|' {GATEWAY}/config.yaml"
        f" && {{ {AS_KEEPER} reload litellm.service || true; }}",
        agent="",
    ),
    "gateway-model": Break(
        "a model was taken out of the gateway's configuration",
        "model-not-found",
        f"sed -i 's/^- model_name: local$/- model_name: other/' {GATEWAY}/config.yaml"
        # The supervisor refuses a configuration without a model that it was told of: it must not know better meanwhile.
        f" && cp {GATEWAY}/container.json /run/drill-container"
        f" && sed -i '/\"models\"/,/]/s/\"local\"/\"other\"/' {GATEWAY}/container.json"
        f" && {AS_KEEPER} reload litellm.service && cat /run/drill-container > {GATEWAY}/container.json"
        # Nor did it, as far as anybody can see.
        f" && now=$(sha256sum < {GATEWAY}/container.json | cut -d' ' -f1)"
        f" && sed -i \"s|^[0-9a-f]*  {GATEWAY}/container.json|$now  {GATEWAY}/container.json|\""
        f" /run/user/$(id -u {GATEWAY_USER})/litellm/inputs",
    ),
    "gateway-swapped": Break(
        "the gateway asks a cloud for the local model",
        "wrong-model",
        f"sed -i 's/^- model_name: local$/- model_name: kept/; s/^- model_name: claude-haiku-4-5$/- model_name: local/;"
        f" s/^- model_name: kept$/- model_name: claude-haiku-4-5/' {GATEWAY}/config.yaml"
        f" && {AS_KEEPER} reload litellm.service",
    ),
    "gateway-hangs": Break(
        "the gateway hangs",
        "gateway-silent",
        f"{AS_KEEPER} kill --kill-whom=main --signal=STOP litellm.service",
        f"{AS_KEEPER} kill --kill-whom=main --signal=CONT litellm.service",
    ),
    "gateway-open": Break(
        "the gateway was opened to the network",
        "gateway-open",
        f"sed -i 's/bind((\"127.0.0.1\", port))/bind((\"0.0.0.0\", port))/' {GATEWAY}/supervisor/supervisor.py"
        f" && {AS_KEEPER} restart litellm.service",
        agent="",
    ),
    "image": Break(
        "the gateway's image was removed",
        "gateway-image",
        f"{AS_KEEPER} stop litellm.service && {DOCKER} image rm --force $({DOCKER} image ls --quiet)",
        agent="gateway-silent",
    ),
    "port": Break(
        "another program took the gateway's port",
        "port-taken",
        f"{AS_KEEPER} stop litellm.service; systemd-run -q --unit drill-port python3 -m http.server -b 127.0.0.1 4000"
        f" && sleep 1; timeout 20 {AS_KEEPER} start litellm.service; true",
        f"systemctl stop drill-port; {AS_KEEPER} restart litellm.service",
        agent="gateway-silent",
    ),
    "key-empty": Break("the gateway's key was emptied", "empty-gateway-key", f": > {OUR_KEY}"),
    "key-gone": Break("the gateway's key was removed", "secret-missing", f"rm {OUR_KEY}"),
    "key-wrong": Break(
        "the lanes have another key than the gateway",
        "gateway-key-wrong",
        f"{FOR_CLAUDE} sh -c 'umask 077; printf sk-other | systemd-creds --user encrypt --name=gateway - {OUR_KEY}'",
    ),
    "key-open": Break("the gateway's key may be read by all", "secret-open", f"chmod 644 {OUR_KEY}", FIX),
    "provider-open": Break("a provider's key may be read by all", "secret-open", f"chmod 644 {KEY}", FIX, agent=""),
    "provider-directory": Break(
        "the directory of the provider's keys was opened",
        "secret-open",
        f"chmod 755 {GATEWAY}/secrets",
        FIX,
        agent="",
    ),
    "provider-damaged": Break(
        "a provider's key was damaged", "secret-broken", f"echo damaged > {KEY}", agent=""
    ),
    "provider-gone": Break("a provider's key was removed", "secret-missing", f"rm {KEY}", agent=""),
    "key-old": Break("a key is two years old", "key-old", f"touch -d '2 years ago' {OUR_KEY}", f"touch {OUR_KEY}"),
    # ---- Claude Code and its lanes ----
    "claude-binary": Break(
        "Claude Code was replaced by another program",
        "claude-missing",
        f"b={BINARY} && rm $b && install -o claude -g claude -m 755 /bin/true $b",
    ),
    "claude-version": Break(
        "another version of Claude Code was installed over it",
        "claude-version",
        f"b={BINARY} && rm $b && printf '#!/bin/sh\necho 9.9.9\n' > $b && chmod 755 $b && chown claude: $b",
    ),
    "claude-link": Break("the link to Claude Code was removed", "claude-missing", f"rm {HOME}/.local/bin/claude"),
    "claude-other": Break(
        "another claude comes first",
        "other-claude",
        f"install -d -o claude -g claude {HOME}/drill && install -o claude -m 755 /bin/true {HOME}/drill/claude"
        f" && cp -a {HOME}/.profile /root/kept && echo 'PATH=$HOME/drill:$PATH' >> {HOME}/.profile",
        f"rm -r {HOME}/drill; mv /root/kept {HOME}/.profile",
    ),
    "node": Break("Node was removed", "node-missing", f"rm -rf {HOME}/.local/share/mise/installs/node/*"),
    "mise": Break("the link to mise was removed", "mise-missing", "rm /usr/local/bin/mise"),
    "path": Break(
        "a shell file sets a PATH of its own",
        "not-on-path",
        f"cp -a {HOME}/.profile /root/kept && {_line('.profile', 'PATH=/usr/bin:/bin')}",
        f"mv /root/kept {HOME}/.profile",
    ),
    "launcher": Break("a launcher was removed", "not-on-path", "rm /usr/local/bin/claude-local"),
    "launcher-shadowed": Break(
        "a program of a lane's name comes first",
        "launcher-shadowed",
        f"install -o claude -g claude -m 755 /bin/true {HOME}/.local/bin/claude-routed",
        FIX,
    ),
    "launcher-program": Break(
        "the launchers' program was edited",
        "placed-changed",
        "echo '# edited' >> /usr/local/lib/signalbox/launcher/launch.py",
        agent="",
    ),
    "alias": Break(
        "an alias has a lane's name", "alias-and-function", _line(".bashrc", "alias claude-routed=claude"), FIX
    ),
    "function": Break(
        "a function has a lane's name",
        "alias-and-function",
        _line(".bash_aliases", "claude-local() { claude; }"),
        f"rm {HOME}/.bash_aliases",
    ),
    "shell-syntax": Break(
        "a shell file has a syntax error",
        "shell-syntax",
        f"cp -a {HOME}/.bashrc /root/kept && {_line('.bashrc', 'if true; then')}",
        f"mv /root/kept {HOME}/.bashrc",
    ),
    "shell-line": Break(
        "our line in ~/.bashrc was removed", "placed-changed", f"sed -i 1d {HOME}/.bashrc", agent=""
    ),
    "api-key": Break(
        "ANTHROPIC_API_KEY is in a shell file",
        "billed-subscription",
        _line(".profile", "export ANTHROPIC_API_KEY=sk-ant-drill"),
        FIX,
    ),
    "api-key-units": Break(
        "ANTHROPIC_API_KEY is in environment.d",
        "billed-subscription",
        f"{_line('.config/environment.d/90-mine.conf', 'ANTHROPIC_API_KEY=sk-ant-drill')}"
        f" && {AS_CLAUDE} daemon-reload",
        FIX,
    ),
    "api-key-manager": Break(
        "ANTHROPIC_API_KEY is in the running user manager",
        "billed-subscription",
        f"{AS_CLAUDE} set-environment ANTHROPIC_API_KEY=sk-ant-drill",
        FIX,
    ),
    "api-key-settings": Break(
        "ANTHROPIC_API_KEY is in plain claude's settings",
        "billed-subscription",
        _settings(f"{HOME}/.claude/settings.json", env={"ANTHROPIC_API_KEY": "sk-ant-drill"}),
        FIX,
    ),
    "provider-key": Break(
        "a provider's key is in the guide's file in clear",
        "provider-key-in-clear",
        f"{_line('.config/claude-secrets.env', 'ANTHROPIC_DIRECT_KEY=sk-ant-drill')}",
        f"rm {HOME}/.config/claude-secrets.env",
    ),
    "base-url": Break(
        "ANTHROPIC_BASE_URL is in a shell file",
        "stray-variable",
        _line(".zshrc", "export ANTHROPIC_BASE_URL=http://127.0.0.1:1"),
        FIX,
    ),
    "deprecated": Break(
        "ANTHROPIC_SMALL_FAST_MODEL is in a shell file",
        "deprecated-variable",
        _line(".bashrc", "export ANTHROPIC_SMALL_FAST_MODEL=local"),
        FIX,
    ),
    "deprecated-settings": Break(
        "ANTHROPIC_SMALL_FAST_MODEL is in a lane's settings",
        "deprecated-variable",
        _settings(ROUTED, env={"ANTHROPIC_SMALL_FAST_MODEL": "local"}),
        FIX,
    ),
    "bypassed": Break(
        "a lane's settings have an env block",
        "bypassed-gateway",
        _settings(ROUTED, env={"ANTHROPIC_BASE_URL": "https://api.example.org"}),
        FIX,
    ),
    "bypassed-helper": Break(
        "a lane's settings have an apiKeyHelper", "bypassed-gateway", _settings(ROUTED, apiKeyHelper="/bin/true"), FIX
    ),
    "bypassed-managed": Break(
        "managed settings have an env block",
        "bypassed-gateway",
        "echo '{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://api.example.org\"}}'"
        " > /etc/claude-code/managed-settings.json",
        "rm /etc/claude-code/managed-settings.json",
    ),
    "managed-gone": Break(
        "our managed settings were removed",
        "placed-missing",
        "rm /etc/claude-code/managed-settings.d/50-signalbox.json",
        agent="",
    ),
    "xhigh": Break("a lane's effort is xhigh", "xhigh", _settings(ROUTED, effortLevel="xhigh"), FIX),
    "betas": Break(
        "a lane's settings turn the betas on",
        "beta-header",
        _settings(ROUTED, env={"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "0"}),
        FIX,
    ),
    "betas-lane": Break(
        "a lane's record no longer turns the betas off",
        "beta-header",
        f"sed -i 's/\"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS\": \"1\"/\"DRILL\": \"1\"/' {LANES}",
    ),
    "settings-damaged": Break(
        "a lane's settings are no JSON",
        "settings-not-json",
        f"{_settings(ROUTED)} && echo '{{' > {ROUTED}",
        _given_back(ROUTED),
    ),
    "login": Break(
        "a login lies in a lane's directory",
        "stored-login",
        f"install -D -o claude -g claude -m 600 /dev/null {HOME}/.claude-routed/.credentials.json"
        f" && chown claude: {HOME}/.claude-routed",
        f"rm {HOME}/.claude-routed/.credentials.json",
    ),
    "login-stored": Break(
        "an API key is stored in a lane's directory",
        "stored-login",
        f"[ ! -e {LANE_STATE} ] || cp -a {LANE_STATE} /root/kept-state;"
        f" echo '{{\"primaryApiKey\": \"sk-ant-drill\"}}' > {LANE_STATE}"
        f" && chown claude: {LANE_STATE} {HOME}/.claude-routed",
        f"rm {LANE_STATE}; [ ! -e /root/kept-state ] || mv /root/kept-state {LANE_STATE}",
    ),
    "plain-helper": Break(
        "plain claude's settings have an apiKeyHelper",
        "billed-subscription",
        _settings(f"{HOME}/.claude/settings.json", apiKeyHelper="/bin/true"),
        FIX,
    ),
    "owner": Break(
        "a lane's settings belong to root",
        "not-yours",
        f"{_settings(ROUTED, effortLevel='high')} && chown root: {ROUTED}",
        FIX,
    ),
    "lanes-gone": Break("the lanes' records were removed", "lanes-unreadable", f"rm {LANES}"),
    "lanes-open": Break("the lanes' records may be changed by all", "placed-open", f"chmod 666 {LANES}", agent=""),
    "lanes-owner": Break(
        "the lanes' records were given to the agent", "placed-open", f"chown claude: {LANES}", agent=""
    ),
    "ca": Break(
        "a CA certificate was removed",
        "placed-missing",
        "rm $(ls /usr/local/share/ca-certificates/signalbox-*.crt | head -n1)",
        agent="",
    ),
    # ---- models ----
    "backend-off": Break("the model server is off", "backend-off", simulate={"fault": "refuse"}),
    "backend-token": Break(
        "the model server asks for a token", "backend-token", simulate={"require_authentication": True}
    ),
    "backend-broken": Break("the model server answers 500", "smoke", simulate={"fault": "500", "path": "/v1/*"}),
    "model-unloaded": Break(
        "the local model was unloaded", "model-not-loaded", simulate={"load": {"instance_id": MODEL}}
    ),
    "context": Break(
        "the local model is loaded with 8192 tokens",
        "context-small",
        simulate={"load": {"model": MODEL, "context_length": 8192}},
    ),
    "tools-as-text": Break("tool calls come as text", "tools-as-text", simulate={"habit": "tools as text"}),
    "unused-tokens": Break("<unused24> in the text", "unused-tokens", simulate={"habit": "unused tokens"}),
    "empty": Break("answers are empty", "empty-response", simulate={"habit": "empty"}),
    "cut-calls": Break("tool calls are cut off", "truncated-edits", simulate={"habit": "cuts calls"}),
    "extra-inputs": Break(
        "the model server refuses fields that Claude Code sends", "extra-inputs", simulate={"habit": "strict"}
    ),
    "model-gone": Break(
        "the model was deleted from the model server", "model-not-found", simulate={"without": MODEL}
    ),
    "cloud": Break(
        "the cloud cannot be reached",
        "cloud-unreachable",
        "ip rule add to {cloud} ipproto tcp dport {cloud_port} priority 78 unreachable",
        "ip rule del priority 78",
    ),
}  # fmt: skip
