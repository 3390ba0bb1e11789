"""`signalbox secrets` as people use it: what it writes, what it says, and that nothing is half done."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from signalbox.vault import storage
from tests.unit.vault_refusals import ALL, KEY, NAME, PASSPHRASE, VALUE, everything, kill_rotation, make, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storage, "_WAIT_SECONDS", 0.1)


def done(*words: str, stdin: str = "", key: str = f"file:{KEY}") -> Result:
    result = run(*words, stdin=stdin, key=key)
    assert result.exit_code == 0, result.output
    assert VALUE not in result.stderr
    return result


def refused(message: str, *words: str, stdin: str | bytes = "", key: str = f"file:{KEY}", status: int = 1) -> None:
    """The command fails with that message, and nothing in the directory changes."""
    before = everything()
    result = run(*words, stdin=stdin, key=key)
    assert result.exit_code == status, result.output
    assert message in " ".join(result.stderr.split()), result.stderr
    assert VALUE not in result.output
    assert everything() == before


@pytest.fixture
def vault() -> None:
    done("init")
    done("set", NAME, stdin=VALUE)


# ---- what each command does ----


def test_init_makes_a_file_and_a_key_that_only_its_owner_reads() -> None:
    said = done("init").stderr
    assert "Keep the key out of git" in said
    assert KEY.stat().st_mode & 0o777 == 0o600
    assert done("list").stdout == ""
    refused("is there already", "init")


@pytest.mark.usefixtures("vault")
def test_set_and_get() -> None:
    assert done("get", NAME).stdout == f"{VALUE}\n"
    assert VALUE not in ALL.read_text()
    said = done("set", NAME, stdin=f"{VALUE}\n").stderr
    assert "has that value already" in said
    assert done("set", NAME, stdin="new").stderr == f"Set {NAME} in secrets/all.yml\n"
    assert done("get", NAME).stdout == "new\n"


@pytest.mark.usefixtures("vault")
def test_other_values_keep_their_ciphertext() -> None:
    before = ALL.read_text().splitlines()
    done("set", "FOUNDRY_API_KEY", stdin="another")
    after = ALL.read_text().splitlines()
    added = [line for line in after if line not in before]
    assert len(added) == 1
    assert added[0].startswith("  FOUNDRY_API_KEY: ")
    assert [line for line in before if line not in after] == []


@pytest.mark.usefixtures("vault")
def test_list_needs_no_key() -> None:
    KEY.unlink()
    assert done("list").stdout.split() == ["secret", "for", NAME, "all"]
    assert json.loads(done("list", "--json").stdout) == [{"secret": NAME, "for": "all"}]


def test_a_host_has_a_file_of_its_own() -> None:
    done("init")
    done("init", "--for", "fd00::1")
    done("set", NAME, "--for", "fd00::1", stdin="of that host")
    assert Path("secrets/fd00__1.yml").exists()
    assert done("get", NAME, "--for", "fd00::1").stdout == "of that host\n"
    refused("there is no ANTHROPIC_DIRECT_KEY", "get", NAME)


@pytest.mark.usefixtures("vault")
def test_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    done("set", "GONE", stdin="gone")
    done("set", "KEPT", stdin="it's kept")
    kept = next(line for line in ALL.read_text().splitlines() if "KEPT" in line)
    seen = Path("seen").resolve()
    editor = Path("editor")
    editor.write_text(
        f"#!/bin/sh\necho $1 > {seen}; stat -c %a $1 >> {seen}\n"
        f"sed -i -e '/^GONE/d' -e 's/^{NAME}=.*/{NAME}=edited/' $1\n"
    )
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor.resolve()))
    monkeypatch.delenv("VISUAL", raising=False)
    assert "Wrote secrets/all.yml" in done("edit").stderr
    assert done("get", NAME).stdout == "edited\n"
    assert done("get", "KEPT").stdout == "it's kept\n"
    assert kept in ALL.read_text().splitlines()
    assert "GONE" not in ALL.read_text()
    file, mode = seen.read_text().split()
    assert mode == "600"
    assert not Path(file).parent.exists()
    memory = subprocess.run(["stat", "-f", "-c", "%T", "/dev/shm"], capture_output=True, text=True).stdout.strip()  # noqa: S108
    assert (memory == "tmpfs") == file.startswith((os.environ.get("XDG_RUNTIME_DIR", "/dev/shm"), "/dev/shm"))  # noqa: S108


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("no assignment", "line 1 is not NAME=value"),
        ("A=1\nA=2", "A is there twice"),
        ("ANTHROPIC_API_KEY=x", "write ANTHROPIC_DIRECT_KEY"),
        ("A=", "A: the value is empty"),
        ("a_b=1", "this is not the name of a secret"),
    ],
)
def test_edit_that_is_wrong_writes_nothing(written: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("editor").write_text(f"#!/bin/sh\nprintf '%s\\n' '{written}' > $1\n")
    Path("editor").chmod(0o755)
    monkeypatch.setenv("VISUAL", str(Path("editor").resolve()))
    refused(message, "edit")
    monkeypatch.setenv("VISUAL", "false")
    refused("ended with status 1; nothing was written", "edit")


@pytest.mark.usefixtures("vault")
def test_import_of_the_guides_file() -> None:
    Path("claude-secrets.env").write_text(f"# keys\nexport FOUNDRY_API_KEY='one two'\n\n{NAME}={VALUE}\n")
    said = done("import", "claude-secrets.env").stderr
    assert "still holds them in clear" in said
    assert done("get", "FOUNDRY_API_KEY").stdout == "one two\n"
    assert done("import", "claude-secrets.env").stderr == "Everything was there already\n"
    refused("there already, with another value", "import", "-", stdin=f"{NAME}=other")
    done("import", "--replace", "-", stdin=f"{NAME}=other")
    assert done("get", NAME).stdout == "other\n"
    refused("write ANTHROPIC_DIRECT_KEY", "import", "-", stdin=f"ANTHROPIC_API_KEY={VALUE}")
    refused("name a file, or --from SOURCE", "import", status=2)


@pytest.mark.usefixtures("vault")
def test_import_from_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_API_KEY", "from there")
    done("import", "--from", "environment", "--name", "FOUNDRY_API_KEY")
    assert done("get", "FOUNDRY_API_KEY").stdout == "from there\n"
    refused("there is no NEVER_SET to import", "import", "--from", "environment", "--name", "NEVER_SET")


@pytest.mark.usefixtures("vault")
def test_check() -> None:
    assert done("check").output == ""
    assert "secrets/all.yml: 1 secrets, all well" in done("check", "-v").stderr
    lines = ALL.read_text().splitlines(keepends=True)
    ALL.write_text("".join(lines).replace(f"  {NAME}: ", "  RENAMED_KEY: "))
    refused("the value of RENAMED_KEY was changed, or comes from another file or name", "check")
    assert done("check", "--without-key").output == ""  # what only the key can tell
    ALL.write_text("".join(lines[:-1]))
    refused("is cut off", "check", "--without-key")
    found = json.loads(run("check", "--json").stdout)
    assert found["problems"][0].startswith("secrets/all.yml: is cut off")


# ---- what it refuses; nothing is written then ----


@pytest.mark.usefixtures("vault")
def test_a_value_on_the_command_line_is_refused_unseen() -> None:
    refused("the value must not be on the command line", "set", NAME, VALUE, status=2)
    refused("this looks like a secret itself", "set", f"{NAME}={VALUE}", status=2)
    refused("this looks like a secret itself", "get", VALUE, status=2)


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        ("", "the value is empty"),
        ("\n", "the value is empty"),
        (" x", "white space around it"),
        ("x\ny", "more than one line"),
        (b"\xff\xfe", "no UTF-8 text"),
    ],
)
def test_a_value_that_no_deploy_takes(stdin: str | bytes, message: str) -> None:
    refused(message, "set", "OTHER_KEY", stdin=stdin)


def test_there_is_no_vault() -> None:
    for words in (["set", NAME], ["get", NAME], ["edit"], ["rotate-key"]):
        refused("secrets/all.yml: does not exist; make it with `signalbox secrets init`", *words, stdin=VALUE)


def test_keys_from_the_environment_and_from_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PASSPHRASE", PASSPHRASE)
    done("init", key="env:VAULT_PASSPHRASE")
    done("set", NAME, stdin=VALUE, key="env:VAULT_PASSPHRASE")
    assert done("get", NAME, key="command:printenv VAULT_PASSPHRASE").stdout == f"{VALUE}\n"
    refused("this is not its key", "get", NAME, key="command:echo another one")
    refused("is empty; export NEVER_SET", "get", NAME, key="env:NEVER_SET")
    refused("the command of the key, false, failed with status 1", "get", NAME, key="command:false")
    refused("the command of the key, no-such-program, cannot be run", "get", NAME, key="command:no-such-program")
    refused("the output of true is empty", "get", NAME, key="command:true")
    refused("the command is not readable", "get", NAME, key="command:echo 'x")
    refused("(not repeated here, as it may be the key itself)", "get", NAME, key=PASSPHRASE)
    assert PASSPHRASE not in run("get", NAME, key=PASSPHRASE).output


def test_a_short_passphrase_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PASSPHRASE", "hunter2")
    before = run("init", key="env:VAULT_PASSPHRASE")
    assert before.exit_code == 1
    assert "needs at least 12 characters" in before.stderr
    assert not ALL.exists()


@pytest.mark.usefixtures("vault")
def test_two_writers_at_once() -> None:
    with storage.writing(Path("secrets")):
        refused("another `signalbox secrets` is writing here", "set", "NEW_KEY", stdin="x")
        refused("another `signalbox secrets` is writing here", "rotate-key")
        assert done("get", NAME).stdout == f"{VALUE}\n"  # readers see the whole file
    done("set", "NEW_KEY", stdin="x")


@pytest.mark.usefixtures("vault")
def test_a_writer_that_waits_a_moment_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_WAIT_SECONDS", 20)
    program = "import sys; from signalbox.commands.secrets import secrets; secrets()"
    handle = os.open("secrets", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, "--key", f"file:{KEY}", "set", f"WRITER_{number}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"value")
        writer.stdin.close()
    os.close(handle)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert done("list").stdout.count("WRITER_") == 3


# ---- rotation ----


@pytest.mark.usefixtures("vault")
def test_rotation_of_a_key_file() -> None:
    done("init", "--for", "box1")
    done("set", NAME, "--for", "box1", stdin="of box1")
    old_key, old = KEY.read_bytes(), everything()
    said = done("rotate-key").stderr
    assert said.count("Encrypted secrets/") == 2
    assert KEY.read_bytes() != old_key
    assert KEY.stat().st_mode & 0o777 == 0o600
    assert done("get", NAME).stdout == f"{VALUE}\n"
    assert done("get", NAME, "--for", "box1").stdout == "of box1\n"
    assert Path("secrets/all.yml.bak").read_bytes() == old["secrets/all.yml"]
    refused("this is not its key", "get", NAME, key=f"file:{KEY}.bak")
    Path("secrets/all.yml.bak").replace(ALL)  # the backup and the old key still go together
    assert done("get", NAME, key=f"file:{KEY}.bak").stdout == f"{VALUE}\n"


@pytest.mark.usefixtures("vault")
def test_rotation_to_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PASSPHRASE", PASSPHRASE)
    said = done("rotate-key", "--to", "env:VAULT_PASSPHRASE").stderr
    assert "Write where the new key comes from, env:VAULT_PASSPHRASE, in your settings: secrets.key" in said
    assert "scrypt" in ALL.read_text()
    assert done("get", NAME, key="env:VAULT_PASSPHRASE").stdout == f"{VALUE}\n"
    refused("say with --to where the new one comes from", "rotate-key", key="env:VAULT_PASSPHRASE")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The vault's directory as a file system of its own, of 64 KiB, where this machine lets us mount one."""
    small = tmp_path / "secrets"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield small
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_full_disk_for_real(small_disk: Path) -> None:
    make()
    (small_disk / "filler").write_bytes(b"x" * 4096 * 13)
    refused("the disk is full", "set", "NEW_KEY", stdin="x" * 9000)
    assert done("get", NAME).stdout == f"{VALUE}\n"
    (small_disk / "filler").unlink()
    done("set", "NEW_KEY", stdin="x" * 9000)


def test_a_full_disk_for_real_during_rotation(small_disk: Path) -> None:
    """Of the sixteen pages two are the files', and a rotation needs four: backups and new files."""
    make()
    filler = small_disk / "filler"
    for free in range(4):
        filler.write_bytes(b"x" * 4096 * (14 - free))
        refused("the disk is full", "rotate-key")
        assert done("get", NAME, "--for", "box1").stdout == f"{VALUE}\n"
    filler.write_bytes(b"x" * 4096 * 10)
    done("rotate-key")
    assert done("get", NAME, "--for", "box1").stdout == f"{VALUE}\n"


@pytest.mark.parametrize("at", range(1, 7))
def test_a_rotation_that_was_killed_is_finished_by_the_next(at: int) -> None:
    make()
    old_key, old = KEY.read_bytes(), everything()
    kill_rotation(at)
    assert old_key == KEY.read_bytes()
    assert Path(f"{KEY}.new").exists()
    done("rotate-key")
    assert sorted(everything()) == sorted(old), "something is left"
    for words in (("get", NAME), ("get", NAME, "--for", "box1")):
        assert done(*words).stdout == f"{VALUE}\n"
        refused("this is not its key", *words, key=f"file:{KEY}.bak")
    assert Path(f"{KEY}.bak").read_bytes() == old_key
    for path in ("secrets/all.yml", "secrets/box1.yml"):
        assert Path(f"{path}.bak").read_bytes() == old[path]


def test_half_a_new_key_is_written_again() -> None:
    make()
    Path(f"{KEY}.new").write_text("signalbox-key-half")
    done("rotate-key")
    assert done("get", NAME).stdout == f"{VALUE}\n"


def test_a_key_file_is_not_replaced_under_other_files() -> None:
    make()
    assert done("rotate-key", "--for", "box1").stderr.count("Encrypted secrets/") == 2
    assert done("get", NAME).stdout == f"{VALUE}\n"
    assert done("get", NAME, "--for", "box1").stdout == f"{VALUE}\n"


@pytest.mark.parametrize("at", [4, 5])
def test_a_rotation_that_cannot_be_taken_back_keeps_the_new_key(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first new file on no name can be changed, nor changed back."""
    make()
    original, calls = Path.replace, iter(range(1, 100))

    def replace(path: Path, target: Path) -> Path:
        if next(calls) > at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        result = run("rotate-key")
    assert result.exit_code == 1
    assert "some files have the new key: run this again" in " ".join(result.stderr.split())
    done("rotate-key")
    assert done("get", NAME).stdout == f"{VALUE}\n"
    assert done("get", NAME, "--for", "box1").stdout == f"{VALUE}\n"


def test_an_interrupt_in_the_middle_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when a file is in place, before we have taken note of it."""
    make()
    before = everything()
    original = Path.replace

    def replace(path: Path, target: Path) -> Path:
        done = original(path, target)
        if target.name == "all.yml" and path.suffix == ".tmp":
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        run("rotate-key")
    assert everything() == before


@pytest.mark.usefixtures("vault")
def test_a_value_that_was_written_is_not_said_to_be_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1, 100))

    def fsync(_handle: int) -> None:
        if next(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        result = run("set", NAME, stdin="another")
    assert result.exit_code == 1
    assert "it is in place" in " ".join(result.stderr.split())
    assert done("get", NAME).stdout == "another\n"


# ---- on a terminal ----


class Terminal:
    """A command with a terminal of its own; answers what it asks."""

    def __init__(self, *words: str) -> None:
        program = "from signalbox.commands.secrets import secrets; secrets()"
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", program, *words])  # noqa: S606
        self.seen = ""

    def until(self, text: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        os.set_blocking(self.handle, False)
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            try:
                self.seen += os.read(self.handle, 4096).decode()
            except BlockingIOError:
                time.sleep(0.02)

    def answer(self, question: str, text: str) -> None:
        self.until(question)
        self.seen = self.seen.split(question, 1)[1]
        os.write(self.handle, f"{text}\n".encode())

    def end(self) -> tuple[int, str]:
        os.set_blocking(self.handle, True)
        try:
            while more := os.read(self.handle, 4096):
                self.seen += more.decode()
        except OSError:
            pass  # EIO: the other end is closed
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.handle)
        return status, self.seen


@pytest.fixture
def asked() -> None:
    first = Terminal("init")
    first.answer("Passphrase of secrets/all.yml (new): ", PASSPHRASE)
    first.answer("The same again: ", PASSPHRASE)
    assert first.end()[0] == 0


@pytest.mark.usefixtures("asked")
def test_on_a_terminal_everything_secret_is_asked_for_unseen() -> None:
    setting = Terminal("set", NAME)
    setting.answer(f"Value of {NAME}: ", VALUE)
    setting.answer("Passphrase of secrets/all.yml: ", PASSPHRASE)
    status, seen = setting.end()
    assert status == 0
    assert VALUE not in seen
    assert PASSPHRASE not in seen
    showing = Terminal("get", NAME)
    showing.answer(f"Show {NAME} on this terminal? [y/N]: ", "n")
    status, seen = showing.end()
    assert status == 1
    assert VALUE not in seen
    showing = Terminal("get", NAME, "--yes")
    showing.answer("Passphrase of secrets/all.yml: ", PASSPHRASE)
    status, seen = showing.end()
    assert status == 0
    assert VALUE in seen  # the search would have found it


@pytest.mark.usefixtures("vault")
def test_what_was_typed_wrong_may_be_edited_again(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = Path("editor")
    editor.write_text(
        "#!/bin/sh\nif grep -q '^OTHER' $1; then sed -i 's/^OTHER.*/OTHER=right/' $1; else echo OTHER >> $1; fi\n"
    )
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor.resolve()))
    for answer, ends in (("n", "line 3 is not NAME=value"), ("y", "Wrote secrets/all.yml")):
        terminal = Terminal("--key", f"file:{KEY}", "edit")
        terminal.answer("Edit again? [Y/n]:", answer)
        status, seen = terminal.end()
        assert ends in seen
        assert status == (answer == "n")
    assert done("get", "OTHER").stdout == "right\n"


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_edit_that_is_ended_leaves_nothing_in_clear(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = Path("editor")
    editor.write_text("#!/bin/sh\necho $1 > seen.new && mv seen.new seen; exec sleep 60\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor.resolve()))
    program = "from signalbox.commands.secrets import secrets; secrets()"
    edit = subprocess.Popen([sys.executable, "-c", program, "--key", f"file:{KEY}", "edit"])
    seen = Path("seen")
    while not seen.exists():
        assert edit.poll() is None
        time.sleep(0.05)
    file = Path(seen.read_text().strip())
    assert VALUE in file.read_text()
    edit.send_signal(number)
    assert edit.wait(30) == 128 + number
    assert not file.parent.exists()
    assert done("get", NAME).stdout == f"{VALUE}\n"


@pytest.mark.usefixtures("asked")
def test_a_wrong_passphrase() -> None:
    wrong = Terminal("get", NAME, "--yes")
    wrong.answer("Passphrase of secrets/all.yml: ", "another passphrase")
    status, seen = wrong.end()
    assert status == 1
    assert "this is not its key" in " ".join(seen.split())


def test_two_passphrases_that_differ() -> None:
    first = Terminal("init")
    first.answer("(new): ", PASSPHRASE)
    first.answer("The same again: ", f"{PASSPHRASE}s")
    status, seen = first.end()
    assert status == 1
    assert "the two passphrases differ; nothing was written" in " ".join(seen.split())
    assert not ALL.exists()


def test_no_terminal_to_ask_on() -> None:
    program = "from signalbox.commands.secrets import secrets; secrets()"
    words = [sys.executable, "-c", program, "init"]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    assert result.returncode == 1
    assert "there is no terminal to ask for the passphrase on" in result.stderr
    assert not ALL.exists()
