"""Pull mode: this host alone, in a group of its own name, whose settings and secrets are its own.

Its settings: group_data/<name>.py. Its secrets: secrets/<name>.yml, which its key alone opens.
"""

import re
import socket

name = re.sub(r"\W", "_", socket.gethostname().partition(".")[0])
globals()[name] = (
    ["@local"],
    {
        "secrets": {
            "source": "vault",
            "vault_files": "secrets/{scope}.yml",
            "keys": {name: "file:/etc/signalbox-pull/vault.key"},
        }
    },
)
