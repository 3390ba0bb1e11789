"""Every setting of Signalbox: its default and what it means. Nothing else holds a default.

Sections merge deeply: all (this file) < groups < host < command line
(`--data gateway='{"port": 4001}'` or `--data gateway.port=4001`). So write only what differs:
in group_data/<group>.py, or beside a host in inventory.py. `signalbox settings` shows what a host gets, and from
where.
A value in angle brackets, such as "<LMSTUDIO_IP>", is one that only you can give.
"""

# ---- how pyinfra reaches the hosts (its own settings; any ssh_* of pyinfra may be used) ----
ssh_user = "root"  # or an admin user, together with connection.sudo
ssh_strict_host_key_checking = "yes"  # an unknown or changed SSH host key stops the run

connection = {
    "host_key": None,  # the host's public key, "ssh-ed25519 AAAA…"; None: your known_hosts file decides
    "sudo": False,  # True when ssh_user is not root
    "sudo_password": None,  # name of the secret that holds ssh_user's sudo password; None: sudo asks for none
}

# ---- where downloads come from; air-gapped and corporate networks change these ----
mirrors = {
    "debian": None,  # base URL of a Debian mirror; None: keep the host's own apt sources
    "debian_security": "https://security.debian.org/debian-security",  # with debian: Debian's security updates, which lie elsewhere; None: there are none
    "docker": "https://download.docker.com/linux/debian",  # for rootless_docker.source = "docker"
    "mise": "https://github.com/jdx/mise/releases/download",  # holds v<version>/mise-v<version>-linux-x64.tar.gz
    "node": "https://nodejs.org/dist",  # a nodejs.org-style tree: index.json, v<version>/SHASUMS256.txt
    "npm": None,  # URL of an npm registry; None: npm's own, https://registry.npmjs.org
    "litellm": "ghcr.io/berriai/litellm",  # the gateway image's repository, without tag or digest
    "llama_cpp": "https://github.com/ggml-org/llama.cpp/releases/download",  # holds b<build>/llama-b<build>-bin-ubuntu-x64.tar.gz; for model hosts
    "huggingface": "https://huggingface.co",  # where models of "hf:…" come from
}
replaces = []  # Debian packages of yours that may go, because one that is wanted does not stand beside them: ["docker-ce"]
extra_ca_certificates = []  # PEM files on the controller that the hosts shall trust too (paths or PEM text)

# ---- versions with their checksums: `signalbox pin` resolves those that are None and writes them here ----
pins = {
    "mise": {
        "version": "2026.9.15",  # of mise, which installs the other two
        "sha256": {  # of mise-v<version>-linux-{x64,arm64}.tar.gz
            "amd64": None,  # for Intel and AMD machines
            "arm64": None,  # for ARM machines
        },
    },
    "node": {
        "version": "22.23.3",  # of Node, for npm and for MCP servers
        "sha256": {  # of node-v<version>-linux-{x64,arm64}.tar.gz
            "amd64": None,  # for Intel and AMD machines
            "arm64": None,  # for ARM machines
        },
    },
    "claude_code": {
        "version": "2.1.329",  # on npm; 2.1.265 to 2.1.267 fail on endpoints other than Anthropic's
        "integrity": {  # npm's own checksums, sha512
            "package": "sha512-WQ7RY331gsODjOoDBbeG1fjMfKY1Ur9yxWAOI9SgdLZvqA9sAREaezXt7e3uNbHlgjVAZg1IqlJT1J7WKViEFA==",  # of @anthropic-ai/claude-code
            "amd64": "sha512-+n4lu1ubYAp02Y0X/MAUnxw9yY6SHHZ77F+IoW+V0wVoFuiI9opdH6gofjf14gXJCEYMTNpks7Gn1i8XZTKAWA==",  # of its binary for Intel and AMD machines
            "arm64": "sha512-IiG5umFToSCVWqB1lEsxxwIxKgxPXyZ3DRU915v8J4Bz5Q3JpslM0ew1m5yaT+lFXBPvYxmsEgi0XI68XHND0A==",  # of its binary for ARM machines
        },
    },
    "litellm": {
        "version": "1.108.11",  # the image's tag, for people; the digest decides
        "digest": None,  # "sha256:…" of the image's index or manifest
    },
}

# ---- tasks, in the order of deploy.py ----
preflight = {
    "enabled": True,
    "min_disk_mib": 8192,  # free space needed under / (MiB)
    "min_memory_mib": 3072,  # total memory needed (MiB)
    "max_clock_skew_seconds": 120,  # against the controller; TLS and tokens fail beyond it
    "probe_timeout_seconds": 2,  # backends and mirrors are probed side by side for at most this long
}

base = {
    "enabled": True,
    "packages": ["git", "ripgrep", "jq", "tmux", "unzip"],  # what you like to have beside what tasks need
    "timezone": None,  # such as "Europe/Berlin"; None: leave as it is
    "unattended_upgrades": True,  # Debian's security updates without a person
}

service_user = {
    "enabled": True,  # False: not wanted; what it had placed goes from the host, but for users and their keys
    "name": "claude",  # Claude Code runs as this user; it is made if need be
    "shell": "/bin/bash",  # its login shell
    "authorized_keys": [],  # public keys, or paths of .pub files on the controller, that may log in as this user
    "sudo": "none",  # none, password (as in the guide) or nopasswd, which makes the agent root
    "password": None,  # name of the secret that holds its password; needed for sudo = "password"
    "linger": True,  # its services start at boot, without a login
}

# ---- who gets in: changes are kept only after fresh logins have succeeded, see docs/hardening.md ----
guard = {
    "enabled": True,
    "armed_seconds": 90,  # a change that could lock you out, and that nobody confirms, is taken back by the host after this long
    "login_seconds": 10,  # for one fresh login
}

firewall = {
    "enabled": True,
    "ssh_from": ["lan"],  # "lan" (private addresses, tunnels, tailnets; nothing public), "any", or networks as CIDR
    "ssh_ports": [22],  # of sshd
    "ssh_interfaces": [],  # only by these interfaces, such as ["wg0"]; []: by all
    "open": {},  # more that may come in: {"tcp/8080": ["lan"]}; {"ip/112": ["lan"]} is VRRP, by the number of its protocol
    "shut": ["tcp/5355", "udp/5353", "udp/5355"],  # are reached no more: LLMNR, mDNS; a network: nor sshd from there
    "egress": {  # what the service user may reach, from its containers too; see docs/hardening.md
        "enabled": False,  # True: name servers, and the settings' mirrors, backends and clouds, and nothing else
        "allow": {},  # more that it may reach: {"tcp/443": ["github.com", "192.168.1.0/24"]}
    },
}

ssh = {
    "enabled": True,
    "root_login": "key",  # "key", or "no" where the deploy comes as another user with sudo
    "password_login": False,  # False: off as soon as a key login of the service user has been proven
    "password_users": [],  # users whom a Match block of your own may let in by password all the same
    "classic_kex": True,  # a classic key exchange beside the post-quantum ones: pyinfra's own SSH library needs it
    "allow_users": [],  # only these may log in; []: everyone
    "max_auth_tries": 3,  # keys and passwords tried in one connection; more for agents with many keys
    "tcp_forwarding": True,  # ssh -L, as to the gateway; False: off
    "unpunished": ["lan", "controller"],  # whose failed logins sshd does not answer by waiting
    "extra": [],  # lines of sshd_config for what has no setting here, such as "Match User backup"
}

fail2ban = {
    "enabled": True,
    "ignored": ["lan"],  # never banned, beside the addresses that deploys come from: "lan", or networks
    "max_failures": 5,  # failed logins within find_seconds, wrong keys among them, and the address is banned
    "find_seconds": 600,  # how far back failures count
    "ban_seconds": 3600,  # the first ban; each further one is longer
    "longest_ban_seconds": 604800,  # a week
}

hardening = {
    "enabled": True,
    "packages": [  # passwords that are guessed, private temporary directories, what updates change, what has run
        "libpam-passwdqc",
        "libpam-tmpdir",
        "apt-listchanges",
        "needrestart",
        "debsums",
        "acct",
    ],
    "sysctl": {  # kernel settings; what a kernel or a container does not have stays as it is
        "dev.tty.ldisc_autoload": 0,  # line disciplines are not loaded for anybody
        "fs.protected_fifos": 2,  # not written to where others may have laid them
        "fs.protected_hardlinks": 1,  # only to one's own files
        "fs.protected_regular": 2,  # as for fifos
        "fs.protected_symlinks": 1,  # not followed where others may have laid them
        "fs.suid_dumpable": 0,  # no core dumps of programs with privileges
        "kernel.core_uses_pid": 1,  # should a dump be made, no other is overwritten
        "kernel.ctrl-alt-del": 0,  # an orderly restart
        "kernel.dmesg_restrict": 1,  # the kernel's log is root's
        "kernel.kptr_restrict": 2,  # no kernel addresses
        "kernel.unprivileged_bpf_disabled": 1,  # until the next boot
        "kernel.yama.ptrace_scope": 1,  # a process may be traced by its parent
        "net.ipv4.conf.all.accept_redirects": 0,  # routes are not changed by messages
        "net.ipv4.conf.all.log_martians": 1,  # impossible addresses are logged
        "net.ipv4.conf.all.rp_filter": 1,  # answers go where questions came from, unless an interface has 2; write 2 with several uplinks
        "net.ipv4.conf.all.send_redirects": 0,  # this is no router
        "net.ipv4.conf.default.accept_redirects": 0,  # as above, for interfaces to come
        "net.ipv4.conf.default.log_martians": 1,  # as above
        "net.ipv6.conf.all.accept_redirects": 0,  # as above, over IPv6
        "net.ipv6.conf.default.accept_redirects": 0,  # as above
    },
    "blocked_modules": ["dccp", "sctp", "rds", "tipc", "firewire-core", "firewire-ohci", "firewire-sbp2"],  # unused
    "banner": "Private system. Access is for authorized users only, and is logged and monitored.",  # on the console; None
    "reboot_at": None,  # "04:30": a reboot that an update needs happens then; None: it waits for you
}

rootless_docker = {
    "enabled": True,
    "service_user": True,  # the service user has an engine of its own, for what the agent runs in containers
    "replaces_root": False,  # True: root's Docker, which is switched off, may be stopped though containers run in it; remove.py starts them again
    "source": "debian",  # debian (docker.io) or docker (upstream's repository, key fingerprint pinned)
    "host_loopback": False,  # True: containers reach services on the host's own loopback as host.docker.internal
    "registry_mirrors": [],  # URLs that Docker Hub pulls go through
    "daemon": {},  # more of the service user's daemon.json: {"data-root": "/srv/docker"}
}

by_hand = {  # what was set up by hand, by the guide, and is set aside, never thrown away; `signalbox adopt` writes it
    "enabled": True,
    "containers": [],  # of the service user's Docker, stopped and kept: ["litellm"]
    "files": [],  # in its home, kept where root alone reads them: [".config/claude-secrets.env"]
    "functions": [],  # taken out of its shell files, which are kept as *.before-signalbox: ["claude-routed"]
}

toolchain = {
    "enabled": True,
}

secrets = {
    "enabled": True,
    "on_host": "credentials",  # credentials: encrypted for host and user by systemd-creds; plain: files that only their user reads, and ~/.config/claude-secrets.env loaded by every shell, as in the guide
    "source": "environment",  # environment, vault, ansible_vault, sops, age, op or pass: see docs/secrets.md
    "key": "prompt",  # opens vault and ansible_vault files: prompt, file:PATH, env:NAME or command:WORDS
    "keys": {},  # {"<group or host>": "file:…"} where a vault file has another key; ansible_vault files share `key`
    "vault_files": "secrets/{scope}.yml",  # scope: all, a group or a host; a host's secrets go before its groups'
    "ansible_vault_files": ["group_vars/{scope}/vault.yml", "host_vars/{scope}/vault.yml"],  # read as they are
    "sops_files": "secrets/{scope}.sops.json",  # decrypted by sops, which knows with which key
    "age_files": "secrets/{scope}.age",  # decrypted by age: NAME=value lines
    "age_identity": "~/.config/age/key.txt",  # opens age files; None: age asks for a passphrase
    "op_entry": "op://signalbox/{name}/{scope}",  # in 1Password: vault, item, field
    "pass_entry": "signalbox/{scope}/{name}",  # in the password store of pass
}

model_server = {  # of hosts in the group model_hosts, whose models become backends of all others; see docs/model-hosts.md
    "enabled": False,  # True by itself in the group model_hosts
    "alone": True,  # a model host runs no agent; False: it is an agent's host, too
    "kind": "llama_cpp",  # llama.cpp's llama-server
    "variant": "auto",  # cpu, vulkan, rocm or cuda; auto: by what the host has
    "llama_cpp": {  # its pin; checksums stand in the release's own list of files, as digest
        "version": "b11549",  # a build
        "archives": {  # as that build's files are called; the numbers behind cuda and rocm change
            "cpu_amd64": "llama-{build}-bin-ubuntu-x64.tar.gz",  # for Intel and AMD processors without a card
            "cpu_arm64": "llama-{build}-bin-ubuntu-arm64.tar.gz",  # for ARM processors without a card
            "vulkan_amd64": "llama-{build}-bin-ubuntu-vulkan-x64.tar.gz",  # for any card with a Vulkan driver
            "vulkan_arm64": "llama-{build}-bin-ubuntu-vulkan-arm64.tar.gz",  # the same, with ARM processors
            "rocm_amd64": "llama-{build}-bin-ubuntu-rocm-10.0-x64.tar.gz",  # for AMD's cards with its own driver
            "cuda_amd64": "llama-{build}-bin-ubuntu-cuda-13.4-x64.tar.gz",  # for NVIDIA's cards
            "cuda_arm64": "llama-{build}-bin-ubuntu-cuda-13.4-arm64.tar.gz",  # the same, with ARM processors
        },
        "sha256": {  # of those that model hosts use
            "cpu_amd64": None,  # for Intel and AMD processors without a card
            "cpu_arm64": None,  # for ARM processors without a card
            "vulkan_amd64": None,  # for any card with a Vulkan driver
            "vulkan_arm64": None,  # the same, with ARM processors
            "rocm_amd64": None,  # for AMD's cards with its own driver
            "cuda_amd64": None,  # for NVIDIA's cards
            "cuda_arm64": None,  # the same, with ARM processors
        },
    },
    "address": None,  # where agents' hosts reach it; None: as the inventory has it
    "port": 8080,  # on all its addresses; the firewall lets in `clients` alone
    "clients": None,  # who may reach it, "lan" or networks; None: the agents' hosts of the inventory
    "api_key": None,  # name of the secret that clients send; None: whoever may reach it may use it
    "user": "llama",  # runs the server, and owns nothing of it
    "directory": "/var/lib/models",  # models' files, of root's
    "threads": None,  # for what runs on the processor; None: as llama.cpp thinks best
    "prompt_cache_mib": 8192,  # of memory for prompts of conversations that were put aside
    "start_timeout_seconds": 600,  # until the model is loaded, or the start has failed
    "flags": [],  # more arguments of llama-server, such as ["--n-cpu-moe", "20"]
    "prune": False,  # True: files of models that are wanted no more are deleted; False: they are named
    "models": {},  # {"coder": {"source": "hf:owner/repository@<commit>/file.gguf", "sha256": "…", "context_length": 65536}}
}

gateway = {
    "enabled": True,
    "user": "litellm",  # runs the gateway in a Docker of its own and holds the provider keys; None: the service user, who can then read them
    "port": 4000,  # on the host's loopback only
    "entrypoint": "/app/docker-entrypoint.sh",  # of the image; takes --config and --port
    "start_timeout_seconds": 180,  # until the gateway answers, or the start has failed
    "drain_seconds": 600,  # a replaced gateway has this long for its last requests; new ones go to the new one at once
    "stream_timeout_seconds": 120,  # to a model's first byte and between chunks: longer than its slowest prefill
    "request_timeout_seconds": 600,  # for a whole request
    "retries": 0,  # of one model before its fallback; each costs seconds
    "cooldown_seconds": 20,  # a model that failed is left alone for this long, a cloud for as long as it asks for
    "health_check_interval_seconds": 5,  # a local server is looked for this often; a cloud is never probed
    "fallbacks": {"local": ["claude-haiku-4-5"]},  # model: the models tried after it, in order, whatever failed
    "quota_fallbacks": {},  # model: those tried first when its quota or rate limit is used up: {"claude-sonnet-4-6": ["local"]}
    "rules": [],  # who answers by the kind of request, in order, the first that fits: [{"when": {"lane": "local", "images": True}, "to": "claude-sonnet-4-6"}, {"when": {"tokens_over": 60000}, "to": …}, {"when": {"thinking": True}, "to": …}]
    "clients": {},  # further keys, each with its own limits: {"editor": {"secret": "EDITOR_KEY", "models": ["local"], "requests_per_minute": 60, "tokens_per_minute": None, "parallel": 2}}
    "web_search": None,  # a SearXNG that answers WebSearch for models other than Claude: {"kind": "searxng", "url": "http://192.168.1.30:8080"}
    "audit": {  # one line a request, never its content: /var/lib/signalbox/audit/requests.jsonl
        "max_mib": 16,  # then it is moved aside, to requests.1.jsonl
        "old_files": 8,  # so many are kept; the oldest goes
        "compared_with": "claude-sonnet-4-6",  # what local work would have cost there; None: do not tell
    },
    "limits": {  # whatever a model server sends, the gateway takes no more
        "memory_mib": 2048,  # of each container; it takes about 400 idle, and two run while one replaces the other
        "tasks": 512,  # processes and threads of each container, and of the unit
        "files": 4096,  # that a process may have open: two a request
        "answer_mib": 8,  # of an answer that comes as a whole; a longer one is an error, and the fallback is asked
        "stream_mib": 64,  # of a streamed answer; a longer one ends in an error
        "stream_events": 110000,  # of a streamed answer, about one a token; LiteLLM keeps each, some 5 KiB, to its end
        "stream_seconds": 3600,  # for a whole streamed answer
    },
}

# ---- records: what serves models, and who uses which ----
defaults = {  # what a record below has when it does not say
    "backend": {
        "enabled": True,
        "kind": None,  # lm_studio, ollama, llama_cpp, vllm or openai_compatible
        "url": None,  # the server's address, without /v1 (Open WebUI's ends in /api)
        "token": None,  # name of the secret with the server's token, where it asks for one
        "payer": None,  # who pays for its answers, in words, such as "the account at OpenRouter"; None: nobody, it is on your own network
        "models": {},  # name at the gateway: what the server has for it
    },
    "cloud": {
        "enabled": True,
        "kind": None,  # anthropic, azure_foundry, mistral, openai, gemini, openrouter, anthropic_compatible, openai_compatible, bedrock or vertex
        "url": None,  # the API's address, without /v1; azure_foundry has a resource instead
        "resource": None,  # the first label of https://<resource>.services.ai.azure.com
        "region": None,  # bedrock, vertex: where the models are, such as "us-east-1"
        "project": None,  # vertex: the id of the Google Cloud project
        "access_key_id": None,  # bedrock: name of the secret with the id of an AWS access key, whose other half is the secret below; None: that is a Bedrock API key
        "secret": None,  # name of the secret with the account's key; never ANTHROPIC_API_KEY
        "bearer": False,  # azure_foundry: True sends the key as a Bearer token too, for a resource that takes no other
        "models": {},  # name at the gateway: what the cloud has for it
    },
    "backend_model": {
        "id": None,  # what the server calls the model
        "context_length": 32768,  # as loaded, in tokens; Claude Code needs at least 32768
        "max_output_tokens": 4096,  # leave room: prompt and answer share the context
        "aliases": [],  # other names under which the gateway serves it
        "price": None,  # where somebody pays: {"input": 0.3, "output": 1.2, "cached": 0.03} in USD a million tokens, or "plan" (paid by the month)
        "order": 1,  # where several backends have a model of this name: the lowest is asked first, equal ones share the sessions
        "litellm_params": {},  # further members of its entry in LiteLLM, such as {"temperature": 0.7}
    },
    "cloud_model": {
        "id": None,  # what the cloud calls the model; at Foundry, the deployment
        "context_length": None,  # in tokens, of a model that is no Claude; None: Claude Code knows it by its name
        "max_output_tokens": None,  # of a model that is no Claude: prompt and answer share the context
        "adaptive_thinking": True,  # azure_foundry: False for a deployment that refuses it
        "aliases": [],  # other names under which the gateway serves it
        "price": None,  # {"input": 3, "output": 15, "cached": 0.3} in USD a million tokens, or "plan" (paid by the month); None: as LiteLLM's list knows it
        "litellm_params": {},  # further members of its entry in LiteLLM
    },
    "served_model": {
        "source": None,  # "hf:owner/repository@<commit>/file.gguf", an address, or a path on the host; a whole GGUF file
        "sha256": None,  # of the file
        "context_length": 65536,  # for each conversation, in tokens; Claude Code needs at least 32768
        "max_output_tokens": 8192,  # leave room: prompt and answer share the context
        "parallel": 1,  # conversations at once, each with all of its context
        "kv_type": "f16",  # how what was read is kept; q8_0 takes about half
        "gpu_layers": None,  # how many of its layers the card holds; None: all that fit
        "aliases": [],  # other names under which the gateway serves it
    },
    "lane": {
        "enabled": True,
        "via": "gateway",  # gateway, direct (a backend's own Anthropic endpoint) or first-party
        "models": {},  # of each slot: main, opus, sonnet, haiku (background), fable, subagent
        "config_dir": None,  # Claude Code's settings and sessions of this lane, below the user's home
        "credential": "gateway",  # gateway (the gateway's key), none, or the name of a secret
        "billed": None,  # your own words, added to who pays as models and fallbacks tell it; None: none
        "private": False,  # True: nothing may leave for a cloud, so its models have no fallback
        "fallbacks": "all",  # all that the gateway's fallbacks tell, clouds (no local model in a cloud's place), ask (before one bills) or none
        "effort": "high",  # low, medium or high; many backends reject xhigh
        "permission_mode": "default",  # default (it asks before it acts), acceptEdits, plan, auto (for Claudes alone; each call is judged first, which costs) or bypass (it never asks)
        "prompt": None,  # full; lean: without what a local model has no use for, a third of the size; None: lean where the main model is no Claude
    },
}

backends = {  # servers on your own network
    "lmstudio": {
        "kind": "lm_studio",
        "url": "http://<LMSTUDIO_IP>:1234",
        "token": None,  # name of the secret with the server's token, where it asks for one
        "models": {
            "local": {"id": "<LOCAL_MODEL_ID>", "context_length": 32768},  # the id from LM Studio's /v1/models
        },
    },
}

clouds = {  # accounts that bill
    "anthropic": {
        "kind": "anthropic",
        "url": "https://api.anthropic.com",
        "secret": "ANTHROPIC_DIRECT_KEY",  # a name; never ANTHROPIC_API_KEY: Claude Code itself would bill it
        "models": {  # canonical names: Claude Code knows their window and abilities
            "claude-sonnet-4-6": {"id": "claude-sonnet-4-6", "aliases": ["claude-sonnet"]},
            "claude-opus-4-8": {"id": "claude-opus-4-8", "aliases": ["claude-opus"]},
            "claude-haiku-4-5": {"id": "claude-haiku-4-5", "aliases": ["claude-haiku"]},
        },
    },
    "foundry": {
        "enabled": False,
        "kind": "azure_foundry",
        "resource": "<FOUNDRY_RESOURCE>",  # the first label of https://<resource>.services.ai.azure.com
        "secret": "FOUNDRY_API_KEY",
        "models": {},  # {"claude-sonnet-4-6": {"id": "<SONNET_DEPLOYMENT>", "aliases": ["foundry-sonnet"]}, …}
    },
    "mistral": {
        "enabled": False,
        "kind": "mistral",
        "url": "https://api.mistral.ai",
        "secret": "MISTRAL_API_KEY",
        "models": {},  # {"mistral-medium": {"id": "mistral-medium-latest", "context_length": 131072, "max_output_tokens": 8192}}
    },
}

lanes = {  # one launcher each: claude-<lane>
    "routed": {
        "models": {
            "main": "claude-sonnet-4-6",
            "opus": "claude-opus-4-8",
            "sonnet": "claude-sonnet-4-6",
            "haiku": "local",  # Claude Code's background work goes to the local model
            "fable": "claude-opus-4-8",
        },
        "config_dir": "~/.claude-routed",
    },
    "local": {
        "models": {"main": "local", "opus": "local", "sonnet": "local", "haiku": "local", "fable": "local"},
        "config_dir": "~/.claude-local",
    },
    "local-private": {  # claude-local --private: straight to the model server; no gateway, no cloud, no fallback
        "via": "direct",
        "models": {"main": "local", "opus": "local", "sonnet": "local", "haiku": "local", "fable": "local"},
        "config_dir": "~/.claude-local-private",
        "credential": "none",  # or the name of the secret with the server's token
        "private": True,
    },
    "cloud": {
        "models": {
            "main": "claude-sonnet-4-6",
            "opus": "claude-opus-4-8",
            "sonnet": "claude-sonnet-4-6",
            "haiku": "claude-haiku-4-5",
            "fable": "claude-opus-4-8",
        },
        "config_dir": "~/.claude-cloud",
        "fallbacks": "clouds",  # no answer of a local model, whatever gateway.fallbacks and quota_fallbacks tell
    },
    "api": {  # pure Claude API, without the gateway
        "enabled": False,  # True: the service user gets a copy of the key, which only the gateway has otherwise
        "via": "first-party",
        "config_dir": "~/.claude-api",
        "credential": "ANTHROPIC_DIRECT_KEY",
    },
}

budgets = {  # each None, or {"usd": 10, "per": "day", "stops": "fallbacks"}: per hour, day, week or month (UTC); stops: fallbacks (what bills in another model's place) or all that bills
    "all": None,  # of the whole host
    "lanes": {},  # of a lane through the gateway: {"routed": {"usd": 5, "per": "day"}}
    "clouds": {},  # of a cloud, or of a backend with a payer
}

sessions = {
    "keep_days": 3650,  # Claude Code deletes older conversations (30 days by itself); for plain claude where nothing is set
}

launchers = {
    "enabled": True,
    "flags": [],  # added to every claude call, such as ["--verbose"]
    "reopen_sessions": False,  # True: what claude-session has opened comes back after a reboot, where it was
    "task_timeout_seconds": 3600,  # of a headless task (claude-task@NAME), as a whole
    "escalation": {  # claude-escalate, of the skill cloud-escalator: one question to the cloud
        "lane": "cloud",  # who answers; a lane that is not enabled: no such skill
        "timeout_seconds": 300,  # for the answer
        "budget_usd": 1.0,  # for one question
    },
    "dispatch": {  # claude-dispatch, of the skill vibe-orchestrator: mechanical work to the local model
        "lane": "local",  # who does it; a lane that is not enabled: no such skill
        "timeout_seconds": 900,  # for one task
        "budget_usd": 20.0,  # for one task; Claude Code counts local tokens too, as if they were Anthropic's (5 USD a million)
        "parallel": 3,  # tasks at once; a local server has few slots
    },
}

doctor = {
    "enabled": True,  # the command claude-doctor, and its timer
    "min_free_mib": 2048,  # free space below which a disk counts as full (MiB)
    "max_key_days": 365,  # a key that was not changed for longer is told; None: never
    "smoke_seconds": 60,  # for the short request to each local model, which may have to be loaded first
    "every_minutes": 15,  # the timer's checks, which cost nothing and ask no model; it tells changes alone; None: no timer
    "webhook": None,  # URL that is told changes as JSON, too: host, new, over
    "mail_to": None,  # address that is told changes by mail, too
    "mail_from": None,  # its sender; None: signalbox@<host>
    "mail_server": None,  # SMTP server "host" or "host:port", without a login; needed for mail_to
}

leftovers = {
    "enabled": True,  # take away what earlier settings asked for: lanes, packages, whole sections; False: it stays
}

# ---- one deploy a host at a time, however it was started ----
lock = {
    "enabled": True,
    "wait_seconds": 0,  # how long a deploy waits for another one of the same host before it leaves that host out
    "expires_minutes": 120,  # a deploy whose controller vanished from the network keeps others away for this long
    "reason": None,  # told to those who are kept away; None: the commit that is deployed
}

# ---- `signalbox remove` takes away what Signalbox placed, and gives back what it replaced ----
remove = {
    "homes": False,  # True: also the service user that Signalbox made, with all that is in its home
}
