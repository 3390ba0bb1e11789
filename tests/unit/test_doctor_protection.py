"""What sshd makes of its files, compared with what our drop-in says."""

from __future__ import annotations

import pytest

from signalbox.host.doctor.check_protection import _overridden

DROP_IN = """# Placed by Signalbox
PermitRootLogin prohibit-password
MaxAuthTries 3
AllowUsers ann bob
Match User backup
MaxAuthTries 9
"""
TOLD = "permitrootlogin without-password\nmaxauthtries 3\nallowusers ann\nallowusers bob\nport 22"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (TOLD, []),
        (TOLD.replace("without-password", "yes"), ["PermitRootLogin is yes, not prohibit-password"]),
        (TOLD.replace("maxauthtries 3", "maxauthtries 9"), ["MaxAuthTries is 9, not 3"]),
        (TOLD.replace("\nallowusers bob", ""), ["AllowUsers is ann, not ann bob"]),
        ("", []),  # nothing is known: the check has told already that sshd -T fails
    ],
)
def test_another_file_that_has_its_way_is_named(told: str, found: list[str]) -> None:
    assert _overridden(DROP_IN, told) == found
