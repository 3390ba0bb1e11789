"""When the lab takes a process for ended."""

from __future__ import annotations

import subprocess
import sys

from tests.lab.machine import Process, wait_until

# Ends its first thread alone (amd64: system call 60 is exit, of a thread) and lives on in another.
HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall(60, 0)
"""


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def test_a_process_lives_until_its_last_thread_has_ended() -> None:
    started = subprocess.Popen([sys.executable, "-c", HEADLESS])
    try:
        assert wait_until(lambda: state(started.pid) == "Z", 20)
        process = Process.of(started.pid)
        assert process is not None
        assert process.alive()
        started.kill()
        assert wait_until(lambda: not process.alive(), 20)  # a zombie until it is waited for, and that is ended
    finally:
        started.kill()
        started.wait()
    assert Process.of(started.pid) is None
