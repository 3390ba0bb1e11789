# As root, after setup.sh: what people use a host for. $1, $2: URL of a mirror of Node, and a version that it has;
# $3, $4: the same of mise.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Docker with its programs (Debian's), under the names of upstream's packages, and for users too.
cd /srv/repo && rm -f Packages ./*.deb && mkdir -p /srv/from
(cd /srv/from && apt-get -q download docker.io containerd runc docker-cli rootlesskit >/dev/null)
taken() { # directory, package, files
    t=$(mktemp -d) && dpkg-deb -x /srv/from/"$2"_*.deb "$t" && d=$1 && shift 2
    (cd "$t" && tar -cf - "$@") | tar -C "$d" -xf - && rm -r "$t"
}
package() { # name, directory, further fields
    mkdir -p "$2/DEBIAN"
    printf 'Package: %s\nVersion: 5:28.0.1-1\nArchitecture: amd64\nMaintainer: Somebody <root@localhost>\n%bDescription: %s\n' \
        "$1" "$3" "$1" > "$2/DEBIAN/control"
    chmod 755 "$2" && dpkg-deb --root-owner-group -Znone --build "$2" "$1.deb" >/dev/null && rm -r "$2"
    dpkg-deb -f "$1.deb" >> Packages
    printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" "$(stat -c %s "$1.deb")" "$(sha256sum < "$1.deb" | cut -c -64)" >> Packages
}
d=$(mktemp -d) && taken "$d" containerd ./usr/bin ./usr/lib/systemd && taken "$d" runc ./usr/sbin/runc
package containerd.io "$d" 'Depends: libseccomp2\nConflicts: containerd, runc\nReplaces: containerd, runc\nProvides: containerd, runc\n'
d=$(mktemp -d) && taken "$d" docker-cli ./usr/bin/docker
package docker-ce-cli "$d" 'Conflicts: docker-cli, docker.io\nReplaces: docker-cli\n'
d=$(mktemp -d) && taken "$d" docker.io ./usr/sbin ./usr/bin ./usr/lib/systemd && mv "$d"/usr/sbin/* "$d/usr/bin" && rmdir "$d/usr/sbin"
sed -i s,/usr/sbin/dockerd,/usr/bin/dockerd, "$d/usr/lib/systemd/system/docker.service"
mkdir -p "$d/DEBIAN" && printf '#!/bin/sh\ngroupadd -f docker; systemctl daemon-reload; systemctl --quiet enable --now docker.service\n' > "$d/DEBIAN/postinst"
printf '#!/bin/sh\nsystemctl stop docker.socket docker.service || true\n' > "$d/DEBIAN/prerm"
printf '#!/bin/sh\nsystemctl daemon-reload\n' > "$d/DEBIAN/postrm" && chmod 755 "$d/DEBIAN"/p*
package docker-ce "$d" 'Depends: containerd.io, docker-ce-cli, iptables, libsystemd0\nRecommends: docker-ce-rootless-extras\nConflicts: docker.io\nReplaces: docker.io\n'
d=$(mktemp -d) && taken "$d" rootlesskit ./usr/bin && taken "$d" docker.io ./usr/share/docker.io/contrib
mv "$d"/usr/share/docker.io/contrib/dockerd-rootless* "$d/usr/bin" && rm -r "$d/usr/share"
package docker-ce-rootless-extras "$d" 'Depends: uidmap\nConflicts: rootlesskit\nReplaces: rootlesskit\n'
mkdir -p /etc/docker && echo '{"log-level": "warn"}' > /etc/docker/daemon.json
apt-get -q update >/dev/null
apt-get -yq --no-install-recommends install docker-ce docker-ce-cli containerd.io docker-ce-rootless-extras slirp4netns dbus-user-session busybox-static \
    cron nginx-light postgresql samba smbclient fail2ban python3-systemd nftables >/dev/null

# A web server, a database and a share, one container of root's.
echo 'their page' > /var/www/html/index.html
runuser -u postgres -- psql -q -c 'create table records (n int)' -c 'insert into records select generate_series(1, 1000)'
mkdir -p /srv/files && echo 'their file' > /srv/files/one
printf '[global]\n disable netbios = yes\n smb ports = 445\n map to guest = bad user\n[files]\n path = /srv/files\n guest ok = yes\n' > /etc/samba/smb.conf
systemctl --quiet disable --now nmbd 2>/dev/null || true
systemctl restart smbd
tar -C / -cf - bin/busybox | docker import - busybox >/dev/null
docker volume create --name records >/dev/null && echo rows > /var/lib/docker/volumes/records/_data/table
docker run -d --name records --restart always --network none -v records:/data busybox /bin/busybox sleep 1000000 >/dev/null

# Rules, a jail with somebody in it, and a way in for a guest.
printf 'table inet own {\n chain input {\n  type filter hook input priority 10; policy accept;\n  tcp dport 9999 drop\n }\n}\n' > /etc/nftables.conf
systemctl --quiet enable --now nftables
printf '[own]\nenabled = true\nbackend = polling\nfilter = apache-auth\nport = http\nlogpath = /var/log/nginx/error.log\nbantime = 8640000\n' \
    > /etc/fail2ban/jail.d/own.local
systemctl restart fail2ban
i=0; until fail2ban-client set own banip 203.0.113.99 >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 50 ]; sleep 0.2; done
useradd --create-home guest && install -d -m 700 -o guest -g guest /home/guest/.ssh
install -o guest -g guest -m 600 /root/.ssh/authorized_keys /home/guest/.ssh/authorized_keys
printf 'Match User guest\n ForceCommand cat /srv/files/one\n AllowTcpForwarding no\n' > /etc/ssh/sshd_config.d/50-guest.conf
echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf # as cloud-init leaves it
systemctl reload ssh

# A user of the gateway's name.
useradd --create-home --shell /bin/bash litellm && chmod 755 /home/litellm
install -d -o litellm -g litellm /home/litellm/models && echo weights > /home/litellm/models/one && chown litellm: /home/litellm/models/one
echo '5 * * * * true' | crontab -u litellm - && usermod --expiredate 2001-01-01 litellm
echo '* * * * * root date > /srv/beat' > /etc/cron.d/own

# The user of the agent's name: Docker of their own, Node twice, tools of npm's, an agent with what they made for it.
chsh -s /bin/bash claude && loginctl enable-linger claude
echo "$2" > /srv/node && curl --fail --silent --location "$1/v$2/node-v$2-linux-x64.tar.gz" > /srv/node.tar.gz
curl --fail --silent --location "$3/v$4/mise-v$4-linux-x64.tar.gz" | tar -C /srv -xzf - mise/bin/mise
cat > /srv/user.sh <<'USER'
set -eu
cd ~ && export XDG_RUNTIME_DIR=/run/user/$(id -u) DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock
dockerd-rootless-setuptool.sh install --skip-iptables >/dev/null 2>&1
sed -i 's/ --iptables=false//' .config/systemd/user/docker.service
systemctl --user daemon-reload && systemctl --user restart docker
tar -C / -cf - bin/busybox | docker import - busybox >/dev/null
docker volume create pages >/dev/null
docker run --rm -v pages:/www busybox /bin/busybox sh -c 'echo "their container" > /www/index.html'
docker run -d --name pages --restart unless-stopped -p 8090:80 -v pages:/www busybox /bin/busybox httpd -f -h /www >/dev/null
docker run -d --name quiet busybox /bin/busybox true >/dev/null
docker create --name plain busybox /bin/busybox sleep 1000000 >/dev/null # runs once somebody has started it
# As nvm lays it, and loads it.
node=.nvm/versions/node/v$(cat /srv/node) && mkdir -p $node .nvm/alias && tar -C $node --strip-components=1 -xf /srv/node.tar.gz
printf 'PATH=$NVM_DIR/versions/node/v%s/bin:$PATH\n' "$(cat /srv/node)" > .nvm/nvm.sh && cat /srv/node > .nvm/alias/default
printf 'export NVM_DIR="$HOME/.nvm"\n[ -s "$NVM_DIR/nvm.sh" ] && \\. "$NVM_DIR/nvm.sh"\n' >> dotfiles/bashrc
mkdir tool && printf '{"name": "their-tool", "version": "1.0.0", "bin": {"their-tool": "tool.js"}}\n' > tool/package.json
printf '#!/usr/bin/env node\nconsole.log("their tool")\n' > tool/tool.js && chmod 755 tool/tool.js
(export PATH=$HOME/$node/bin:$PATH && cd tool && npm install -g --silent "./$(npm pack --silent)")
mkdir -p .local/share/mise/installs/node/20.0.0/bin .local/bin && cp /srv/mise/bin/mise .local/bin/mise
printf '#!/bin/sh\necho v20.0.0\n' > .local/share/mise/installs/node/20.0.0/bin/node && chmod 755 .local/share/mise/installs/node/20.0.0/bin/node
mkdir -p .local/share/claude/versions .claude/skills/their-skill .claude/agents .claude/projects/-home-claude-work
printf '#!/bin/sh\necho "1.0.0 (Claude Code)"\n' > .local/share/claude/versions/1.0.0 && chmod 755 .local/share/claude/versions/1.0.0
ln -s ~/.local/share/claude/versions/1.0.0 .local/bin/claude
printf -- '---\nname: their-skill\ndescription: what they do\n---\nDo it.\n' > .claude/skills/their-skill/SKILL.md
printf -- '---\nname: helper\ndescription: helps\n---\nHelp.\n' > .claude/agents/helper.md
echo '{"permissions": {"deny": ["Bash(rm:*)"]}, "cleanupPeriodDays": 99}' > .claude/settings.json
echo 'Be brief.' > .claude/CLAUDE.md && echo '{"type": "user"}' > .claude/projects/-home-claude-work/1.jsonl
echo '{"mcpServers": {"theirs": {"type": "stdio", "command": "/usr/bin/true", "args": []}}, "numStartups": 7}' > .claude.json
USER
i=0; until [ -S /run/user/$(id -u claude)/bus ]; do i=$((i + 1)); [ $i -lt 50 ]; sleep 0.2; done
chmod 755 /srv/user.sh && runuser -u claude -- bash -l /srv/user.sh
rm -r /srv/from /srv/mise /srv/node.tar.gz /srv/user.sh && rm -rf /home/claude/.npm/_logs
# What is there now; what an engine keeps is asked of it, and the unit of theirs gives way to ours meanwhile.
cd /home && find claude litellm guest -xdev \( -path '*/.local/share/docker' -o -path '*/.cache' -o -path '*/.npm' \
    -o -path '*/.config/systemd' -o -path '*/.local/state' \) -prune -o -type f -print0 | sort -z > /root/homes
