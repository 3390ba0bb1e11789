"""Advice that people ask for with `?`."""

from __future__ import annotations

from signalbox.init.question import Known
from signalbox.init.validators import split_address

# Which model suits which machine: "Claude Code with Local LLMs and ANTHROPIC_BASE_URL", its table "Hardware x model x
# context x backend" as of 2026-04-28, and its presets of context for machines that are not in it.
SOURCE = 'the guide "Claude Code with Local LLMs and ANTHROPIC_BASE_URL", 2026-04-28'
MACHINES = (
    (
        "MacBook Air M5, 16 GB",
        "Gemma 4 E4B",
        "16K-24K",
        "LM Studio",
        "below what Claude Code needs: chat and small tasks",
    ),
    ("MacBook Air M5, 24 GB", "Gemma 4 26B-A4B Q4", "24K-32K", "Ollama, LM Studio", "good, with 32K"),
    ("MacBook Air M5, 32 GB", "Gemma 4 26B-A4B Q4", "32K", "Ollama, LM Studio", "best Air"),
    ("MacBook Pro M5 Pro, 48 GB", "Gemma 4 26B-A4B Q4 or UD-Q4", "64K", "llama.cpp, LM Studio", "sweet spot"),
    ("MacBook Pro M5 Max, 64 GB and more", "Gemma 4 26B-A4B or 31B", "64K-128K", "llama.cpp, vLLM", "best local"),
)


def table() -> str:
    """Return the table of machines and models as lines."""
    widths = [max(len(row[column]) for row in MACHINES) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in MACHINES]
    return "\n".join([f"Which model on which machine ({SOURCE}):", *(f"  {line}" for line in lines)])


def install_by_hand(known: Known) -> str:
    """Return how the key gets there without this program, from each system."""
    where, port = split_address(known.answers.get("host", "HOST"))
    ssh, copy = ("ssh", "ssh-copy-id") if port == 22 else (f"ssh -p {port}", f"ssh-copy-id -p {port}")
    who = f"{known.answers.get('ssh_user', 'root')}@{where}"
    key = known.answers.get("ssh_key", "~/.ssh/id_ed25519")
    windows = key.replace("~", "$env:USERPROFILE").replace("/", "\\")
    return (
        "The password is used once and kept nowhere. By hand it goes so:\n"
        f"  Linux, macOS:         {copy} -i {key}.pub {who}\n"
        f'  Windows (PowerShell): type {windows}.pub | {ssh} {who} "mkdir -p .ssh; cat >> .ssh/authorized_keys"\n'
        "  on its console:       add the line of the .pub file to ~/.ssh/authorized_keys\n"
        "Debian lets root log in by key alone: use the console, or an admin user with sudo (Ctrl-C, then `signalbox "
        "init --ssh-user NAME`). Once the key is there, any answer does."
    )
