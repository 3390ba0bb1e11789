"""Your hosts. Literal data only; what a host shall be is set in group_data/all.py or beside it here.

A name, or (name, {settings that differ on this host}). Groups are lists; their settings go to
group_data/<group>.py. Nothing to try it on yet? `make demo` needs nothing but this machine.
"""

claude_hosts = [
    (
        "<HOST_LOCAL_IP>",  # the Debian 13 host, such as 192.168.1.10
        {
            "service_user": {"authorized_keys": ["~/.ssh/id_ed25519.pub"]},
        },
    ),
]
