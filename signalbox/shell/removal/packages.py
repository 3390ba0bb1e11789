"""Packages are taken away: what somebody has edited stays, and what was there before is given back."""

from __future__ import annotations

from signalbox.shell import Script, all_of, each_of, manifest, sh
from signalbox.shell.manifest import Entry

# The users and groups that $gone come with: Debian leaves those of a purged package to the administrator.
_ACCOUNTS = sh(
    "for p in $gone; do"
    " dpkg -L $p | grep -s '^/usr/lib/sysusers.d/' | xargs -r sed -n 's/^[ug]!\\? *\\([a-z_][a-z0-9_-]*\\) .*/\\1/p';"
    " sed -n 's/.*add\\(group\\|user\\) --system \\([a-z_][a-z0-9_-]*\\).*/\\2/p' /var/lib/dpkg/info/$p.postinst;"
    " done 2>/dev/null | sort -u"
)


# Those that were not there before us and no other package speaks of, and groups that nobody was put into: files of a
# person's may belong to another's number.
NO_ACCOUNTS = sh(
    "for n in $accounts; do grep -qsw -e $n /usr/lib/sysusers.d/*.conf /var/lib/dpkg/info/*.postinst && continue;"
    " grep -qsxF -e $n {before} && continue;"
    ' userdel $n; [ -n "$(getent group $n | cut -d: -f4)" ] || groupdel $n; done >/dev/null 2>&1',
    before=manifest.BEFORE,
)
# Services whose package did not stop them, such as unattended-upgrades, or took their program from under them, such as
# apt-listchanges: systemd would remember these as failed.
_NO_ORPHANS = each_of(
    sh("systemctl --plain --no-legend list-units --type=service --state=active,activating"
       " | awk '$2 == \"not-found\" {{print $1}}' | xargs -r systemctl stop"),
    sh("systemctl --plain --no-legend list-units --type=service --state=failed"
       " | awk '$2 == \"not-found\" {{print $1}}' | xargs -r systemctl reset-failed"),
)  # fmt: skip


# Only on its purge, and of root's Docker, which never runs here for us: what lies there is a person's.
_NO_NUKE = sh("rm -f /var/lib/docker/nuke-graph-directory.sh")


# Of what a purge took from /etc: what was there before us comes back as it is, what somebody edited stays a copy. An
# empty file is none that somebody wrote: dh_apparmor has one made for each profile of a package.
KEPT = sh(
    '( cd $t/etc && while IFS= read -r f; do p=/etc/${{f#./}}; [ ! -e "$p" ] && [ ! -L "$p" ] || continue;'
    ' if grep -qsxF -e "$p" {before}; then cp -a --parents "$f" /etc/ || exit 1;'
    ' elif [ ! -L "$f" ] && [ -s "$f" ] && ! grep -qxF -e "$p" $t/packaged && [ "${{p%.ucf-*}}" = "$p" ]; then'
    ' cp -a -T --backup=numbered "$f" {originals}/"package$(printf %s "$p" | tr / -)" || exit 1; fi; done < $t/were )',
    before=manifest.BEFORE,
    originals=manifest.ORIGINALS,
)


# A run that was killed meanwhile has left what it looked at.
_LOOKED = sh(
    "{{ [ -d $t/etc ] || {{ rm -rf --one-file-system $t/new && cp -a -x /etc $t/new"
    " && ( cd $t/new && find . -type f -o -type l ) > $t/were"
    " && dpkg-query -W -f {conffiles} $gone | awk {sums} > $t/sums"
    " && {{ cat /var/lib/ucf/hashfile >> $t/sums 2>/dev/null || true; }}"
    " && {{ md5sum --check $t/sums 2>/dev/null | sed -n 's/: OK$//p' > $t/packaged; }} && mv $t/new $t/etc; }}; }}",
    conffiles="${Conffiles}\\n",
    sums='NF > 1 {print $2 "  " $1}',
)


def packages_gone(entries: list[Entry]) -> Script:
    """What only our packages needed goes with them; what somebody else's need stays, and is not ours any more.

    One that had left its configuration here before keeps it: it is removed, and not purged.
    """
    orphans = sh(
        "{{ o=$(apt-get -s -o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false"
        " autoremove) && printf '%s\\n' \"$o\" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p' | sort; }}"
    )
    names = [entry.id for entry in entries]
    gone = sh(
        # As they came: a run that was killed in between may have marked them already.
        "{{ apt-mark manual {names} >/dev/null 2>&1 || true; }} && {orphans} > $t/before"
        " && {{ apt-mark auto {names} >/dev/null 2>&1 || true; }} && {orphans} > $t/after"
        " && {{ comm -13 $t/before $t/after && {configured}; }} > $t/new && sort -u -o $t/new $t/new"
        " && mv $t/new $t/gone",
        orphans=orphans,
        names=names,
        # What a package of ours gave way to has taken it away, but for its configuration and what its purge would do.
        configured=sh(
            "{{ dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {} 2>/dev/null || true; }}"
            " | awk '$2 == \"config-files\" {{print $1}}'",
            names,
        ),
    )
    had = [word for entry in entries if entry.original for word in ("-e", entry.id)]
    return sh(
        "export DEBIAN_FRONTEND=noninteractive LC_ALL=C; {make} && t={state}/purge"
        ' && {{ [ "$(cat $t/names 2>/dev/null)" = {key} ] || {{ rm -rf --one-file-system $t && install -d -m 700 $t'
        " && echo {key} > $t/names; }}; }}"
        # What a killed run has left half way: apt works nothing out before it is done.
        " && {{ timeout 120 sh -c 'until dpkg --configure -a; do sleep 2; done' >/dev/null 2>&1 || true; }}"
        " && {{ [ -e $t/gone ] || {{ {find}; }}; }} && gone=$(cat $t/gone)"
        ' && if [ -n "$gone" ]; then {{ [ -s $t/accounts ] || {{ {accounts}; }} > $t/accounts; }}'
        " && accounts=$(cat $t/accounts) && {look} && {apt} remove $gone && {no_nuke}"
        " && purged=$(printf '%s\\n' $gone | grep -vxF -e '' {had} || [ $? = 1 ])"
        ' && {{ [ -z "$purged" ] || {apt} purge $purged; s=$?; {kept} && [ $s = 0 ]; }}'
        " && {{ {no_accounts}; {no_orphans}; }}; fi"
        " && rm -rf --one-file-system $t && {{ {forget}; }}",
        make=manifest.MAKE,
        state=manifest.STATE,
        key=" ".join(names),  # what another run has left half way is of other packages
        find=gone,
        accounts=_ACCOUNTS,
        look=_LOOKED,
        apt=sh("apt-get -y -q -o DPkg::Lock::Timeout=600"),
        no_nuke=_NO_NUKE,
        had=had,
        kept=KEPT,
        no_accounts=NO_ACCOUNTS,
        no_orphans=_NO_ORPHANS,
        forget=each_of(*(manifest.forget(entry.kind, entry.id) for entry in entries)),
    )


def packages_back(entry: Entry) -> Script:
    """Install again what gave way to a package of ours: the version that was there, or else what apt has."""
    install = sh(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold"
        " --no-install-recommends install"
    )
    version, _, mark = entry.hash.partition(" ")
    then = sh("apt-mark {} {} >/dev/null", mark, entry.id) if mark else sh("true")
    return all_of(sh("{{ {} {} || {} {}; }}", install, f"{entry.id}={version}", install, entry.id), then)
