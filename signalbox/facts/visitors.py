"""From where people came in lately: by sshd's words in the journal, wtmp(5), and the database that follows it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, fields

_ACCEPTED = re.compile(r"Accepted \S+ for ([\w.@$-]+) from ([0-9A-Fa-f:.]+)(?:%\S+)? port \d+ ", re.ASCII)

# utmp(5) on 64 bits: type, pid, line, id, user, host, exit, session, seconds, microseconds, address. The last ones.
_WTMP = r"""
use strict; no warnings;
use Socket qw(inet_ntop AF_INET AF_INET6);
open my $file, "<", "/var/log/wtmp" or exit;
seek $file, -384 * 2000, 2 if -s $file > 384 * 2000;
while (384 == read $file, my $record, 384) {
    my ($type, $user, $seconds, $address) = (unpack "s x2 l a32 a4 Z32 Z256 s2 l L L a16", $record)[0, 4, 9, 11];
    next unless $type == 7 and $seconds > time - 30 * 86400 and $address =~ /[^\0]/ and $user =~ /^[\w.@\$-]+\z/;
    my $four = substr($address, 4) !~ /[^\0]/;
    printf "Accepted login for %s from %s port 0 wtmp\n", $user,
        $four ? inet_ntop(AF_INET, substr $address, 0, 4) : inet_ntop(AF_INET6, $address);
}
""".strip()
WTMPDB = "/var/lib/wtmpdb/wtmp.db"
# Where Debian 13 keeps logins: https://github.com/thkukuk/wtmpdb (type 3: a user's; in microseconds). Its group may
# write into it, so it is read with bounds: on memory here, on time outside.
_WTMPDB = r"""
import re, resource, sqlite3, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=2)
db.execute("PRAGMA trusted_schema = OFF")
db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2**20)
db.text_factory = lambda text: text.decode("ascii", "replace")
lately = (time.time() - 30 * 86400) * 1e6
asked = "SELECT User, RemoteHost FROM wtmp WHERE Type = 3 AND Login > ? ORDER BY ID DESC LIMIT 2000"
for user, host in db.execute(asked, (lately,)):
    if re.fullmatch(r"[\w.@$-]+", str(user)) and re.fullmatch(r"[0-9A-Fa-f:.]{3,45}(%[\w.-]+)?", str(host)):
        print(f"Accepted login for {user} from {host} port 0 wtmpdb")
""".strip()
_UNREAD = "unread wtmpdb"


@dataclass(frozen=True)
class Came:
    """Who came, by address. unread: the database of logins is there, and cannot be read."""

    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: bool = False


class Visitors(HostFact[Came]):
    """From which addresses somebody has logged in in the last 30 days, and as whom: by SSH, or by what writes wtmp(5).

    Of a journal that takes long to read, what comes first: the newest.
    """

    def command(self) -> Script:
        """Return the command; root's journal alone has it all, and nobody else writes into it as sshd's."""
        journal = sh("journalctl --quiet --no-pager --reverse --output=cat --since=-30d _UID=0 -t sshd -t sshd-session")
        return asked(
            sh(
                "timeout 10 {} --grep={} | head -n 2000; env -i /usr/bin/perl -e {};"
                " [ ! -e {db} ] || timeout 10 /usr/bin/python3 -IS -c {} {db} 2>/dev/null || echo {}; printf '\\0'",
                journal,
                "^Accepted ",
                _WTMP,
                _WTMPDB,
                _UNREAD,
                db=WTMPDB,
            )
        )

    default = Came

    def process(self, output: list[str]) -> Came:
        """Read sshd's lines, and the others' in their shape; any other says nothing."""
        found: dict[str, dict[str, None]] = {}
        lines = "".join(fields(output)).split("\n")
        for line in lines:
            if not (login := _ACCEPTED.match(line)):
                continue
            try:
                address = ipaddress.ip_address(login[2])
            except ValueError:
                continue
            mapped = getattr(address, "ipv4_mapped", None)
            found.setdefault(str(mapped or address), {})[login[1]] = None
        return Came({address: tuple(users) for address, users in found.items()}, _UNREAD in lines)
