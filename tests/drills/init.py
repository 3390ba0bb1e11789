"""`signalbox init` as a new user runs it: in a terminal, from nothing, against hosts that nobody has prepared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from signalbox.init.files import literals
from signalbox.init.questions import QUESTIONS
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.person import WRONG, Person, environment
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services
from tests.lab.instance import Lab

drill = Drill(
    "init",
    "from an empty directory to a working host with nothing but the questions' own words",
    "Tried as a new user would, in a terminal driven by a program, against lab hosts: from nothing to a working "
    "`claude-routed` with nothing but the questions' own words; the number of questions and the time; five ways of "
    "answering wrongly at each question, none of which ends in a traceback or a half-written file.",
)

BARE = lab_host("new")
ADMIN, PASSWORD = "admin", "correct horse battery"
WRONG_ANSWERS: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("init_wrong.yaml").read_text())
_DEPLOY_SECONDS = 900


@contextmanager
def person_at(*, key: bool) -> Iterator[tuple[Path, Path]]:
    """Give an empty directory and a home, with the lab's key in it or without any."""
    with tempfile.TemporaryDirectory(prefix="signalbox-home-") as directory:
        home, project = Path(directory, "home"), Path(directory, "fleet")
        home.mkdir()
        project.mkdir()
        (home / ".ssh").mkdir(mode=0o700)
        if key:
            for end in ("", ".pub"):
                shutil.copy(f"{Lab.current().key}{end}", home / ".ssh" / f"id_ed25519{end}")
        yield project, home


def network() -> dict[str, str]:
    """Return the answers that send downloads and the cloud to the lab."""
    lab: Any = services.lab_settings()
    mirrors = {f"mirror_{name}": url for name, url in lab["mirrors"].items()}
    return {
        "network": "mirrors",
        "ca_certificates": ", ".join(lab["extra_ca_certificates"]),
        "api_url": lab["clouds"]["anthropic"]["url"],
        **mirrors,
    }


def right(host: str) -> dict[str, str]:
    """Return right answers where Enter is none."""
    bridge = Lab.current().ipv4(1)
    secrets = services.environment()
    return {
        "host": hosts.address(host),
        "fingerprint": "yes",
        "backend": f"http://{bridge}:1234",
        "anthropic_key": secrets["ANTHROPIC_DIRECT_KEY"],
        "foundry_key": secrets["FOUNDRY_API_KEY"],
        "mistral_key": secrets["MISTRAL_API_KEY"],
        "backend_token": secrets["WEBUI_KEY"],
        "foundry_resource": "myfoundry",
        "foundry_url": services.simulator("foundry"),
        "install_password": PASSWORD,
        "sudo_password": PASSWORD,
        **network(),
    }


def written(project: Path) -> str:
    """Return what is there, but for what is kept of answers."""
    return "".join(f"{path}\n" for path in sorted(project.rglob("*")) if ".signalbox" not in path.parts)


@drill.cell("again", fixed=True)
def again(stage: Stage) -> Figures:
    """Without a person, on a host that is converged: the files say what the host is, so the plan is clean."""
    stage.converged()
    with person_at(key=True) as (project, home):
        answers = {**right(HOST), "backend": services.lab_settings()["backends"]["lmstudio"]["url"]}
        known = {question.id for question in QUESTIONS if question.secret is None}
        (home / "answers.yaml").write_text(yaml.safe_dump({k: v for k, v in answers.items() if k in known}))

        def clean(*more: str) -> dict[str, Any]:
            done = subprocess.run(
                [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "init", "--json", "--yes",
                 "--answers", str(home / "answers.yaml"), *more],
                cwd=project, capture_output=True, text=True, check=False, timeout=180, stdin=subprocess.DEVNULL,
                env={**environment(home), "ANTHROPIC_DIRECT_KEY": answers["anthropic_key"]},
            )  # fmt: skip
            assert done.returncode == 0, f"{done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
            return dict(json.loads(done.stdout))

        report = clean()
        ((name, data),) = literals(project / "inventory.py")["claude_hosts"]
        group = literals(project / "group_data" / "claude_hosts.py")
        assert name == hosts.address(HOST)
        assert data["connection"]["host_key"] in Lab.current().host(HOST).facts()["host_keys"], data
        lab = services.lab_settings()
        assert (
            group["backends"]["lmstudio"]["models"]["local"]["id"]
            == lab["backends"]["lmstudio"]["models"]["local"]["id"]
        )
        vault = (project / "secrets" / "all.yml").read_text()
        assert "ANTHROPIC_DIRECT_KEY" in vault
        assert answers["anthropic_key"] not in vault
        files = {"inventory.py", "group_data/claude_hosts.py", "group_data/pins.py", "deploy.py", "pyproject.toml"}
        assert files <= set(report["written"]), report
        control = must_fail(lambda: clean("--cloud", "none"), "another cloud than the host has")
    operations = report["plan"]["hosts"][0]["operations"]
    return {"plan": f"clean, {operations} operations", "files": len(report["written"]) + 1, "control": control}


@drill.cell("first")
def first(stage: Stage) -> Figures:
    """A bare host and a person without a key: from nothing to an answer of claude-routed, by answering alone."""
    stage.bare(BARE)
    hosts.add_admin(BARE, ADMIN, PASSWORD)
    hosts.run(BARE, f"rm ~{ADMIN}/.ssh/authorized_keys")
    started = time.monotonic()
    with person_at(key=False) as (project, home):
        answers = {**right(BARE), "ssh_user": ADMIN}
        with Person(project, home) as person:
            asked = _walk(person, answers, until="deploy")
            questions = time.monotonic() - started
            person.answer("y")
            assert person.ended(_DEPLOY_SECONDS) == 0, person.said[-3000:]
            said = person.said
        for name in ("anthropic_key", "install_password"):
            assert answers[name] not in said, f"{name} was shown"
        deployed = time.monotonic() - started

        def works() -> str:
            known_hosts = f"UserKnownHostsFile={Lab.current().state}/known_hosts"
            words = [
                "ssh", "-i", str(home / ".ssh/id_ed25519"), "-o", known_hosts, "-o", "BatchMode=yes",
                f"claude@{hosts.address(BARE)}", "claude-routed -p 'say hello'",
            ]  # fmt: skip
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        told = works()
        seconds = time.monotonic() - started
        # The file holds the key alone by which the person came: with another there is no way in.
        shutil.move(home / ".ssh/id_ed25519", home / "kept")
        control = must_fail(works, "the key that was made taken away")
        shutil.move(home / "kept", home / ".ssh/id_ed25519")
    own = [each for each in asked if each.startswith("mirror_") or each in ("ca_certificates", "api_url")]
    return {
        "questions": len(asked) - len(own),
        "more for a network of one's own": len(own),
        "answered": f"{questions:.0f} s (a program types)",
        "deployed": f"{deployed:.0f} s",
        "claude-routed answered": f"{seconds:.0f} s: {told}",
        "control": control,
    }


def _walk(person: Person, answers: Mapping[str, str], until: str) -> list[str]:
    """Answer every question, Enter where nothing is named, up to that one; return the questions."""
    asked = []
    while (question := person.question()) != until:
        assert question, f"it ended: {person.said[-3000:]}"
        assert question not in asked, f"{question} is asked again: {person.before()[-1500:]}"
        asked.append(question)
        person.answer(answers.get(question, ""))
    return [*asked, until]


@drill.cell("wrong")
def wrong(stage: Stage) -> Figures:
    """Wrong answers at every question: each is told why, and asked again; no traceback, nothing written."""
    stage.bare(BARE)
    hosts.add_admin(BARE, ADMIN, PASSWORD)
    hosts.run(BARE, f"rm ~{ADMIN}/.ssh/authorized_keys")
    # Or sshd would answer nobody from here for a while after some of the wrong passwords.
    hosts.run(BARE, "echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/lab.conf; systemctl reload ssh")
    listen = "IO::Socket::INET->new(LocalPort => 8080, Listen => 1) or die; sleep"  # or nobody is asked what stays
    hosts.run(BARE, f"systemd-run --quiet --expand-environment=no perl -MIO::Socket -e '$s = {listen}'")
    ids = [question.id for question in QUESTIONS]
    assert set(WRONG_ANSWERS) == {*ids, "write"}, "a question has no wrong answers, or the other way round"
    assert all(len(set(each)) >= 5 for each in WRONG_ANSWERS.values())
    bridge = Lab.current().ipv4(1)
    both = {"backend": bridge, "cloud": "both", "server": f"http://{bridge}:1234", "check_cloud": "n", "write": "n"}
    admin = {
        "ssh_user": ADMIN,
        "backend": f"http://{bridge}:3000/api",
        "cloud": "mistral",
        "check_cloud": "n",
        "write": "n",
    }
    seen: dict[str, int] = {}
    with person_at(key=True) as (project, home):
        _odd_keys(home / ".ssh")
        untouched = written(project)
        for more in (both, admin):
            with Person(project, home, "--afresh") as person:
                tried = _wrongly(person, {**right(BARE), **more}, _filled(project, home, skip=set(seen)))
                assert person.ended() == 1
                _no_traceback(person)
                assert written(project) == untouched, "something was written"
                seen |= tried
        assert set(seen) == set(WRONG_ANSWERS), f"not asked: {set(WRONG_ANSWERS) - set(seen)}"

        def takes_a_right_one_for_wrong() -> None:
            with Person(project, home, "--afresh") as person:
                _wrongly(person, right(BARE), {"fingerprint": ["yes"]})

        control = must_fail(takes_a_right_one_for_wrong, "a right answer among the wrong ones")
    return {
        "questions": len(seen),
        "wrong answers": sum(seen.values()),
        "fewest at a question": min(seen.values()),
        "tracebacks": 0,
        "files written": 0,
        "control": control,
    }


def _no_traceback(person: Person) -> None:
    where = person.said.find("Traceback")
    assert where < 0, person.said[where : where + 3000]


def _odd_keys(directory: Path) -> None:
    (directory / "putty.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n")
    (directory / "damaged").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSWORD, "-f", str(directory / "locked")], check=True)


def _filled(project: Path, home: Path, skip: set[str]) -> dict[str, list[str]]:
    names = {"bridge": Lab.current().ipv4(1), "home": str(home), "clone": str(project)}
    return {
        question: [re.sub(r"\{(\w+)\}", lambda found: names[found[1]], each) for each in answers]
        for question, answers in WRONG_ANSWERS.items()
        if question not in skip
    }


def _wrongly(person: Person, answers: Mapping[str, str], wrongs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Answer each question wrongly in every way, then rightly; return how many wrong answers each was given."""
    given: dict[str, int] = {}
    question = person.question()
    while question:
        for each in wrongs.get(question, ()):
            person.answer(each)
            next_one, said = person.question(), person.before()
            assert next_one == question, f"{question}: {each!r} was taken, or ended it: {said[-800:]}"
            assert WRONG in said or "Error: invalid input" in said, (
                f"{question}: {each!r}: no reason told: {said[-800:]}"
            )
            given[question] = given.get(question, 0) + 1
        person.answer(answers.get(question, ""))
        before, question = question, person.question()
        assert question != before, f"{before}: a right answer was refused: {person.before()[-800:]}"
    return given


@drill.cell("interrupted")
def interrupted(stage: Stage) -> Figures:
    """Ctrl-C at every question: nothing is written, and the next run goes on at that question."""
    stage.bare(BARE)
    with person_at(key=True) as (project, home):
        answers, untouched, at, stops = right(BARE), written(project), "host", 0

        def nothing_written() -> None:
            assert written(project) == untouched, "something was written"

        while at != "write":
            with Person(project, home) as person:
                secrets = []
                while (question := person.question()) != at:  # what is no secret is known from the runs before
                    assert question.endswith("_key"), f"{question} is asked again"
                    secrets.append(question)
                    person.answer(answers[question])
                person.interrupt()
                assert person.ended() == 1
                assert "goes on here" in person.said, person.said[-500:]
                _no_traceback(person)
            nothing_written()
            stops += 1
            with Person(project, home) as person:
                while (question := person.question()) != at:
                    person.answer(answers[question])
                person.answer(answers.get(at, ""))
                at = person.question()
        with Person(project, home) as person:
            while (question := person.question()) != "write":
                person.answer(answers[question])
            person.interrupt()
            assert person.ended() == 1
            _no_traceback(person)
        nothing_written()
        stops += 1
        state = (project / ".signalbox/init.json").read_text()
        assert answers["anthropic_key"] not in state
        with Person(project, home, "--no-deploy") as person:
            while (question := person.question()) != "write":
                person.answer(answers[question])
            person.answer("y")
            assert person.ended() == 2, person.said[-2000:]
        control = must_fail(nothing_written, "the last question answered with yes")
        assert not (project / ".signalbox/init.json").exists()
    return {"interrupted at": f"{stops} questions", "asked again": "secrets alone", "control": control}


@drill.cell("sent-back")
def sent_back(stage: Stage) -> Figures:
    """Answers that are well formed and turn out wrong later lead back to the question that can mend them."""
    stage.bare(BARE)
    for name in (ADMIN, _NO_SUDO):
        hosts.add_admin(BARE, name, PASSWORD)
        hosts.run(BARE, f"rm ~{name}/.ssh/authorized_keys")
    hosts.run(BARE, f"rm /etc/sudoers.d/{_NO_SUDO}")
    hosts.run(BARE, "echo 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/lab.conf; systemctl reload ssh")
    passphrase, answers = "some words that nobody guesses", {**right(BARE), "check_cloud": "y", "logins": ""}
    answers |= {"vault_key": "passphrase"}
    refused = "sk-ant-well-formed-and-refused-by-the-cloud"
    # In turn, where the walk comes by: a question, its answer, and the question that must come next.
    course = [
        ("ssh_user", "root", "ssh_key"),
        ("install_password", "wrong 1", "ssh_user"),
        ("ssh_user", _NO_SUDO, "ssh_key"),
        ("sudo_password", PASSWORD, "ssh_user"),
        ("ssh_user", ADMIN, "ssh_key"),
        ("anthropic_key", refused, "check_cloud"),
        ("check_cloud", "y", "anthropic_key"),
        ("anthropic_key", answers["anthropic_key"], "check_cloud"),
        ("write", "y", "passphrase"),
        ("passphrase", "short", "passphrase"),
        ("passphrase", passphrase, "the"),
        ("the", "not the same as before", "passphrase"),
    ]
    with person_at(key=False) as (project, home):
        untouched = written(project)
        with Person(project, home) as person:
            _along(person, answers, course)
            person.interrupt()  # at the passphrase
            assert person.ended() == 1
            _no_traceback(person)
            assert refused not in person.said
        assert written(project) == untouched, "something was written"
        with Person(project, home) as person:
            again = [("write", "y", "passphrase"), ("passphrase", passphrase, "the"), ("the", passphrase, "passphrase")]
            _along(person, answers, again)
            person.answer(passphrase)  # of the plan, which is another process
            assert person.question() == "deploy"
            person.interrupt()
            assert person.ended() == 2, person.said[-1500:]
            _no_traceback(person)
            assert f"{ADMIN}@" not in person.said.rpartition("Next:")[2]
        assert "secrets/" in written(project)

        def takes_a_refused_key() -> None:
            with Person(project, home, "--afresh", "--vault-key", "passphrase") as person:
                _along(person, {**answers, "ssh_user": ADMIN}, [("check_cloud", "y", "anthropic_key")])

        control = must_fail(takes_a_refused_key, "a key that the cloud takes")
    return {
        "sent back": "root without its key, a user without sudo, a key that the cloud refuses",
        "passphrase": "a weak one, two that differ, Ctrl-C: asked again, or nothing written",
        "control": control,
    }


_NO_SUDO = "guest"


def _along(person: Person, answers: Mapping[str, str], course: Sequence[tuple[str, str, str]]) -> None:
    """Answer along a course; what it does not name is answered rightly."""
    question = person.question()
    for at, answer, then in course:
        while question != at:
            assert question, f"it ended before {at}: {person.said[-2000:]}"
            person.answer(answers.get(question, ""))
            question = person.question()
        person.answer(answer)
        question = person.question()
        assert question == then, f"{at}: {question} came, not {then}: {person.before()[-1000:]}"
