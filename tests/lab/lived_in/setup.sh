# As root on a bare Debian 13: makes it a host that somebody already uses.
set -eu
export DEBIAN_FRONTEND=noninteractive

# docker-ce, docker-ce-cli and containerd.io by their control fields, from an archive of the host's own.
repo=/srv/repo
mkdir -p $repo && cd $repo
package() { # name, further fields
    d=$(mktemp -d) && mkdir -p "$d/DEBIAN" "$d/usr/share/doc/$1"
    printf 'Package: %s\nVersion: 5:28.0.0-1\nArchitecture: amd64\nMaintainer: Somebody <root@localhost>\n%bDescription: %s\n' \
        "$1" "$2" "$1" > "$d/DEBIAN/control"
    date -u +%s > "$d/usr/share/doc/$1/built"
    chmod 755 "$d" && dpkg-deb --root-owner-group --build "$d" "$1.deb" >/dev/null && rm -r "$d"
    dpkg-deb -f "$1.deb" >> Packages
    printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" "$(stat -c %s "$1.deb")" "$(sha256sum < "$1.deb" | cut -c -64)" >> Packages
}
package containerd.io 'Conflicts: containerd, runc\nReplaces: containerd, runc\nProvides: containerd, runc\n'
package docker-ce-cli 'Conflicts: docker-cli, docker.io\nReplaces: docker-cli\n'
package docker-ce 'Depends: containerd.io, docker-ce-cli\nConflicts: docker.io\nReplaces: docker.io\n'
echo "deb [trusted=yes] file:$repo ./" > /etc/apt/sources.list.d/own.list

# Before its package is there: as somebody had it.
printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "0"; // mine\n' > /etc/apt/apt.conf.d/20auto-upgrades
apt-get -q update >/dev/null
apt-get -yq --no-install-recommends install docker-ce chrony >/dev/null
echo '# mine' >> /etc/chrony/chrony.conf
mkdir -p /var/lib/docker/volumes/db/_data
echo rows > /var/lib/docker/volumes/db/_data/table

# A user of the agent's name, with dotfiles by links of both kinds, a key with options and a mount below the home.
useradd --create-home --shell /bin/dash claude
cd /home/claude
mkdir -p dotfiles share && mkdir -m 700 .ssh
mv .bashrc dotfiles/bashrc && mv .profile dotfiles/profile
ln -s dotfiles/bashrc .bashrc && ln -s dotfiles/profile .profile
echo 'export THEIRS=1' > dotfiles/zshenv && ln dotfiles/zshenv .zshenv # one file of two names
printf 'from="192.0.2.0/24" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 mine\n' > .ssh/authorized_keys
chown -R -h claude: .
mkdir -p /srv/share && echo shared > /srv/share/file
echo "/srv/share /home/claude/share none bind" >> /etc/fstab && mount /home/claude/share
mkdir -p /var/spool/cron/crontabs && echo '0 4 * * * true' > /var/spool/cron/crontabs/claude

# A node of the person's own by mise: the agent's has its own file beside it.
install -d -o claude -g claude .config .config/mise
printf '[tools]\nnode = "20"\n' > .config/mise/config.toml && chown claude: .config/mise/config.toml
