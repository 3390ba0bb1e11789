"""Every inventory of examples/ is planned, whole, side by side on simulated hosts."""

from __future__ import annotations

import json
import os
import pprint
import subprocess
import sys
from pathlib import Path

from signalbox.settings.layers import merge
from tests.examples import NAMES, example
from tests.good_settings import GOOD
from tests.lab.simulators import credentials
from tests.plan.simulated import PROJECT


def test_all_are_planned(tmp_path: Path) -> None:
    common = {
        "pins": GOOD["pins"],
        "service_user": GOOD["service_user"],
        "fake_delay": 0,
        "fake_delay_jitter": 0,
    }
    hosts = [(f"@fake/{name}", merge(common, example(name))) for name in NAMES]
    inventory = tmp_path / "hosts.py"
    inventory.write_text(f"boxes = {pprint.pformat(hosts)}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", str(inventory), "deploy.py", "--dry", "--json"],
        cwd=PROJECT,
        env={**os.environ, **credentials(), "PYINFRA_PROGRESS": "off"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    plan = json.loads(done.stdout)["plan"]
    for name in NAMES:
        ours = [each["name"] for each in plan if f"@fake/{name}" in each["hosts_with_change"]]
        assert any(each.startswith("Gateway |") for each in ours), (name, ours)
        assert any(each.startswith("Launchers |") for each in ours), (name, ours)
