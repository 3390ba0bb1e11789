"""What people have reported that other tools did to their hosts, each tried on the lived-in host against ours."""

from __future__ import annotations

from dataclasses import dataclass

from tests.drills import record

GITHUB = "https://github.com/"


@dataclass(frozen=True)
class Report:
    """A report of another tool's user. at: its address below GitHub. tells: things of tests/drills/a_life.py that
    would be other, or would not answer, if ours did the same. first: what ours did when it was tried at first.
    """

    at: str
    seen: str
    tried: str
    tells: tuple[str, ...]
    first: str = "nothing of it"


REPORTS = (
    Report("AzuraCast/AzuraCast/issues/571", "the uninstaller removes containers and volumes of a mail server",
           "remove.py where the user's Docker has containers and a volume",
           ("containers", "volumes", "container's page")),
    Report("MichaIng/DietPi/issues/3550", "uninstalling Docker deletes volumes",
           "remove.py purges docker.io where /var/lib/docker was there before it", ("root's volumes", "root's Docker")),
    Report("coollabsio/coolify/issues/7675", "the installer overwrites /etc/docker/daemon.json",
           "deploy and remove.py where root's Docker has a daemon.json", ("configuration",)),
    Report("coollabsio/coolify/issues/11221", "the installer restarts dockerd under running containers, unsaid",
           "deploy where a container without a restart policy runs in the user's Docker", ("containers",),
           "it was stopped, and no plan named it"),
    Report("moby/moby/issues/14707", "after an upgrade containers and images are gone: the storage driver is another",
           "deploy where the user's Docker keeps what it has by vfs", ("containers", "container's page"),
           "they were out of view, with a clean plan"),
    Report("ipr-cnrs/nftables/issues/70", "a role's rules flush those that other programs have loaded",
           "deploy, sections off and on, remove.py where a table is on disk and another only loaded", ("rules",)),
    Report("amd/gaia/issues/3561", "purging deletes the person's chats and documents",
           "remove.py where ~/.claude has conversations, skills, settings and MCP servers", ("homes",)),
    Report("youssofal/MTPLX/issues/292", "the installer makes a file of a ~/.zshrc that is a link",
           "deploy and remove.py where dotfiles are links of both kinds", ("dotfiles",),
           "links were followed; a test showed that a hard link was torn into two files"),
    Report("redhat-performance/jetlag/issues/323", "the setup overwrites authorized_keys",
           "deploy and remove.py where a key stands with options", ("keys",)),
    Report("loyess/Shell/issues/95", "the uninstaller takes a web server that was there before it",
           "remove.py where nginx, fail2ban and nftables were there", ("web server", "jail", "rules")),
    Report("armbian/config/issues/117", "an update deletes the person's 50unattended-upgrades",
           "deploy and remove.py where apt.conf.d is the person's, and edited meanwhile", ("apt.conf",)),
    Report("tailscale/tailscale/issues/723", "/etc/resolv.conf is not given back",
           "deploy and remove.py with all sections", ("configuration",)),
    Report("canonical/cloud-init/issues/5934", "50-cloud-init.conf lets passwords in, whatever sshd_config says",
           "deploy where cloud-init has left it: ours is read before, and the file stays", ("configuration", "guest")),
    Report("moadim-io/daemon/pull/998", "an uninstaller must not end a linger that it has not begun",
           "deploy and remove.py where the user lingers", ("lingering", "containers"),
           "kept; a test showed that it was ended where the user had no bus yet"),
    Report("nvm-sh/nvm/issues/1418", "global packages are gone once another Node comes first",
           "deploy where nvm and mise have a Node each, and npm -g a tool", ("nvm, npm -g", "mise")),
)  # fmt: skip
HEAD = "report | what was seen there | tried with ours | at first | now: as before, and answers, in lived_in's cells"


def rows() -> list[str]:
    """Return the rows of the page."""
    return [record.row((f"[{each.at}]({GITHUB}{each.at})", each.seen, each.tried, each.first, ", ".join(each.tells)))
            for each in REPORTS]  # fmt: skip
