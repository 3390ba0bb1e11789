"""A host's cards, and the files of models that it has."""

from __future__ import annotations

import re

from signalbox.desired.cards import Card, Cards
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, number, records
from signalbox.shell.manifest import Entry, entry_path

# find's directives: bytes, time of change of its content, inode. What lies there is root's.
STAMP = "%s-%T@-%i"


class CardsFound(HostFact[Cards]):
    """Cards, drivers and device nodes; nothing is loaded or made for it."""

    def command(self) -> Script:
        """Return the command."""
        pci = sh(
            "for d in /sys/bus/pci/devices/*; do read -r c < $d/class; read -r v < $d/vendor;"
            " case $c in 0x03*|0x12*) printf 'pci\\0%s\\0' ${{v#0x}};; esac; done"
        )
        nodes = sh(
            "for n in /dev/nvidia0 /dev/nvidiactl /dev/nvidia-uvm /dev/kfd /dev/dri/renderD*;"
            " do [ ! -c $n ] || printf 'node\\0%s\\0' $n; done"
        )
        module = sh("printf 'module\\0%s\\0' \"$(head -c 4096 /proc/driver/nvidia/version)\"")
        query = "--query-gpu=name,driver_version,memory.total"
        smi = sh("printf 'smi\\0%s\\0' \"$(timeout 8 nvidia-smi {} --format=csv,noheader,nounits)\"", query)
        vulkan = sh("for f in /usr/share/vulkan/icd.d/*.json; do [ ! -e $f ] || printf 'vulkan\\0'; done")
        memory = sh("read -r _ m _ < /proc/meminfo; printf 'memory\\0%s\\0' $((m / 1024))")
        return asked(each_of(pci, nodes, module, smi, vulkan, memory))

    default = Cards

    def process(self, output: list[str]) -> Cards:
        """Read a record each."""
        told = list(records(output, {"pci": 1, "node": 1, "module": 1, "smi": 1, "vulkan": 0, "memory": 1}))
        of = {kind: [record[1] for record in told if record[0] == kind] for kind in ("pci", "node", "memory")}
        module = "".join(record[1] for record in told if record[0] == "module")
        version = re.search(r"NVRM version:.*?\s(\d{3,}(?:\.\d+)+)\s", module)
        return Cards(
            frozenset(each for each in of["pci"] if re.fullmatch(r"[0-9a-f]{4}", each)),
            frozenset(of["node"]),
            version[1] if version else "",
            tuple(_cards("".join(record[1] for record in told if record[0] == "smi"))),
            any(record[0] == "vulkan" for record in told),
            number(of["memory"][0]) if of["memory"] else 0,
        )


def _cards(text: str) -> list[Card]:
    """Read nvidia-smi's lines; what else it prints, such as that it has no driver, is none of them."""
    found = (re.fullmatch(r"([^,\0-\x1f]{1,80}), (\d+(?:\.\d+)+), (\d{1,7})", line) for line in text.split("\n"))
    return [Card(each[1], each[2], int(each[3])) for each in found if each]


class ModelFiles(HostFact[dict[str, tuple[str, str]]]):
    """Of each of these paths at which a file lies: its stamp, and what the manifest holds of it ("": nothing)."""

    def command(self, paths: tuple[str, ...]) -> Script:
        """Return the command."""
        each = [
            sh(
                "[ ! -f {path} ] || printf 'file\\0%s\\0%s\\0%s\\0' {path}"
                ' "$(find {path} -maxdepth 0 -printf {stamp})" "$(head -c 4096 {entry})"',
                path=path,
                stamp=STAMP,
                entry=entry_path("model", path),
            )
            for path in paths
        ]
        return asked(each_of(*each))

    default = dict

    def process(self, output: list[str]) -> dict[str, tuple[str, str]]:
        """Read a path, a stamp and an entry a record."""
        found = {}
        for _, path, stamp, line in records(output, {"file": 3}):
            entry = Entry.from_json(line)
            right = entry is not None and (entry.kind, entry.id) == ("model", path)
            found[path] = (stamp, entry.hash if entry and right else "")
        return found
