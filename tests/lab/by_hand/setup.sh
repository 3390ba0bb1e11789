#!/bin/sh
# A host as somebody has it who followed the first guide by hand; as root on a bare Debian 13 host.
#   setup.sh CLOUD LMSTUDIO_URL API_URL FOUNDRY_URL IMAGE MISE_ARCHIVE NODE_MIRROR NODE_VERSION CLAUDE_VERSION
# and two lines on stdin: the Claude key, the Foundry key.
# CLOUD: anthropic (the guide's option B), foundry (option A) or both. Phases are the guide's.
set -eu
cloud=$1 lmstudio=$2 api=$3 foundry=$4 image=$5
mise=$6 node_mirror=$7 node=$8 claude=$9
read -r direct_key
read -r foundry_key
export DEBIAN_FRONTEND=noninteractive

# Phase 1 and 2: packages, and the service user with sudo and linger
apt-get -q update
apt-get -yq --no-install-recommends install curl git jq tmux ca-certificates >/dev/null
adduser --disabled-password --gecos '' claude >/dev/null
usermod -aG sudo claude
loginctl enable-linger claude
install -d -m 700 -o claude -g claude /home/claude/.ssh
install -m 600 -o claude -g claude /root/.ssh/authorized_keys /home/claude/.ssh/authorized_keys

# Phase 4: rootless Docker; Debian's own packages, as the lab has no mirror of upstream's
apt-get -yq --no-install-recommends install docker.io docker-cli rootlesskit uidmap slirp4netns fuse-overlayfs \
    dbus-user-session iptables >/dev/null
systemctl disable --now docker.service docker.socket containerd.service 2>/dev/null || true
systemctl restart "user@$(id -u claude).service"
as() {
    runuser -u claude -- env -i HOME=/home/claude USER=claude LOGNAME=claude \
        PATH=/home/claude/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/share/docker.io/contrib \
        XDG_RUNTIME_DIR="/run/user/$(id -u claude)" DOCKER_HOST="unix:///run/user/$(id -u claude)/docker.sock" \
        sh -c "cd && $1"
}
# Debian keeps the tool apart from docker, beside which it looks for it.
ln -s /usr/bin/docker /usr/share/docker.io/contrib/docker
# The lab's kernel has ip_tables built in, which the tool does not see.
as 'dockerd-rootless-setuptool.sh install --skip-iptables' >/dev/null
as "sed -i 's/ --iptables=false//' .config/systemd/user/docker.service && systemctl --user daemon-reload"
as 'systemctl --user restart docker.service && systemctl --user enable docker.service' 2>/dev/null
as "mkdir -p .local && echo 'export PATH=\$HOME/.local/bin:\$PATH' >>.bashrc"

# Phase 5: mise, Node and Claude Code, in every shell at a prompt before all else that is called so
as "curl -fsSL $mise | tar -xz -C .local --strip-components=1 mise/bin"
as "echo 'eval \"\$(~/.local/bin/mise activate bash)\"' >>.bashrc"
as "MISE_NODE_MIRROR_URL=$node_mirror/ MISE_USE_VERSIONS_HOST=0 mise use --quiet --global node@$node"
as "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt mise exec -- npm install --global --loglevel=error @anthropic-ai/claude-code@$claude" >/dev/null

# Phase 8: the file of keys, and every shell that loads it
as 'mkdir -p .config litellm && umask 077 && cat >.config/claude-secrets.env' <<EOF
LMSTUDIO_API_KEY=lm-studio
LITELLM_MASTER_KEY=sk-by-hand-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
EOF
[ "$cloud" = foundry ] || echo "ANTHROPIC_DIRECT_KEY=$direct_key" | as 'cat >>.config/claude-secrets.env'
[ "$cloud" = anthropic ] || echo "AZURE_FOUNDRY_KEY=$foundry_key" | as 'cat >>.config/claude-secrets.env'
as 'cat >>.bashrc' <<'EOF'

# secrets of the gateway
if [ -f "$HOME/.config/claude-secrets.env" ]; then
  set -a
  source "$HOME/.config/claude-secrets.env"
  set +a
fi
EOF

# Phase 9: the gateway
{
    cat <<EOF
model_list:
  - model_name: local
    litellm_params:
      model: lm_studio/qwen/qwen3.6-35b-a3b
      api_base: $lmstudio/v1
      api_key: os.environ/LMSTUDIO_API_KEY
EOF
    for family in sonnet:4-6 opus:4-8 haiku:4-5; do
        name=${family%%:*} version=${family##*:}
        [ "$cloud" = foundry ] || cat <<EOF
  - model_name: claude-$name
    litellm_params:
      model: anthropic/claude-$name-$version
      api_base: $api
      api_key: os.environ/ANTHROPIC_DIRECT_KEY
EOF
        [ "$cloud" = anthropic ] || cat <<EOF
  - model_name: foundry-$name
    litellm_params:
      model: azure_ai/claude-$name-$version
      api_base: $foundry/anthropic
      api_key: os.environ/AZURE_FOUNDRY_KEY
EOF
    done
    [ "$cloud" = foundry ] && first=foundry || first=claude
    cat <<EOF
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_KEY
litellm_settings:
  drop_params: true
  modify_params: true
router_settings:
  fallbacks: [{"local": ["$first-haiku"]}]
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
EOF
} | as 'cat >litellm/config.yaml'
as "set -a && . ./.config/claude-secrets.env && docker run -d --name litellm --restart unless-stopped \
    -p 127.0.0.1:4000:4000 -v \$HOME/litellm/config.yaml:/app/config.yaml:ro \
    -e LITELLM_MASTER_KEY -e ANTHROPIC_DIRECT_KEY -e AZURE_FOUNDRY_KEY -e LMSTUDIO_API_KEY \
    $image --config /app/config.yaml --port 4000" >/dev/null

# What the person runs beside it, for others on the network
as "docker run -d --name web --restart unless-stopped -p 8080:8080 --entrypoint python3 $image \
    -m http.server 8080 --directory /etc/ssl" >/dev/null

# Phase 10: the launchers, as functions, and what a person keeps beside them
[ "$cloud" = foundry ] && main=foundry-sonnet || main=claude-sonnet
as "mkdir -p .claude && echo a note to Claude >.claude/CLAUDE.md"
as 'mkdir -p .claude-routed/projects work && echo "{\"effortLevel\": \"medium\"}" >.claude-routed/settings.json'
as 'echo "a conversation" >.claude-routed/projects/kept.jsonl && echo "a file of mine" >work/kept.txt'
as 'cat >>.bashrc' <<EOF

claude-routed() {
  CLAUDE_CONFIG_DIR="\$HOME/.claude-routed" \\
  ANTHROPIC_BASE_URL="http://127.0.0.1:4000" \\
  ANTHROPIC_AUTH_TOKEN="\$LITELLM_MASTER_KEY" \\
  ANTHROPIC_MODEL="$main" \\
  ANTHROPIC_DEFAULT_HAIKU_MODEL="local" \\
  CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1 \\
  CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1 \\
  claude "\$@"
}

claude-local() {
  CLAUDE_CONFIG_DIR="\$HOME/.claude-routed" ANTHROPIC_BASE_URL="http://127.0.0.1:4000" \\
  ANTHROPIC_AUTH_TOKEN="\$LITELLM_MASTER_KEY" ANTHROPIC_MODEL="local" claude "\$@"
}
alias mine='echo mine'
EOF

# The guide's own check: the gateway answers.
for _ in $(seq 90); do
    curl --fail --silent --max-time 3 http://127.0.0.1:4000/health/liveliness >/dev/null && exit 0
    sleep 2
done
echo 'the gateway made by hand did not answer' >&2
exit 1
