"""`signalbox init`: a wrong answer leads back to the question that can mend it; what fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.console import Failure
from signalbox.facts.before import Listener
from signalbox.init import apply, host, project, ssh_keys
from signalbox.init.answers import AnswersError, Kept, read
from signalbox.init.clouds import CLAUDES
from signalbox.init.interview import Interview
from signalbox.init.probe_results import Machine
from signalbox.init.question import Known, Question, WrongAnswerError, told
from signalbox.init.questions import QUESTIONS, clouds, in_use
from signalbox.init.questions import host as about_host
from signalbox.init.questions import project as about_project
from signalbox.init.to_settings import Wishes
from signalbox.init.validators import split_address
from signalbox.secrets import Secret, SecretError
from signalbox.settings.layers import defaults
from signalbox.vault import keys as vault_keys
from tests.lab.simulators import credentials
from tests.lab.simulators.service import Running, running

BY_ID = {question.id: question for question in QUESTIONS}
DEPLOYMENTS = {f"foundry_{name.split('-')[1]}": name for name in CLAUDES}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as found:
        yield found


_ONLY_THEIRS = {"host", "fingerprint", "backend", "foundry_resource"}  # what nobody else can know


@pytest.mark.parametrize("question", QUESTIONS, ids=list(BY_ID))
def test_every_question_has_an_example_and_a_default(question: Question) -> None:
    assert question.example or question.choices
    assert bool(question.default) == (question.secret is None and question.id not in _ONLY_THEIRS)
    assert question.more or question.id == "check_cloud"


def _known(simulated: Running, cloud: str, **keys_given: str) -> Known:
    answers = {"cloud": cloud, "api_url": simulated.anthropic, "foundry_url": simulated.foundry, **DEPLOYMENTS}
    if cloud == "mistral":
        answers["api_url"] = simulated.mistral
    secrets = {name: Secret(value) for name, value in {**credentials(), **keys_given}.items()}
    return Known(answers=answers, secrets=secrets)


@pytest.mark.parametrize("cloud", ["anthropic", "foundry", "both", "mistral"])
def test_a_right_key_is_taken(simulated: Running, cloud: str) -> None:
    assert clouds.ask_cloud("y", _known(simulated, cloud)) == "y"


@pytest.mark.parametrize(
    ("cloud", "name", "again"),
    [
        ("anthropic", "ANTHROPIC_DIRECT_KEY", "anthropic_key"),
        ("foundry", "FOUNDRY_API_KEY", "foundry_key"),
        ("both", "FOUNDRY_API_KEY", "foundry_key"),
        ("mistral", "MISTRAL_API_KEY", "mistral_key"),
    ],
)
def test_a_key_that_the_cloud_refuses_is_asked_for_again(simulated: Running, cloud: str, name: str, again: str) -> None:
    wrong = _known(simulated, cloud, **{name: "sk-ant-well-formed-and-refused-0000"})
    with pytest.raises(WrongAnswerError, match="does not take this key") as error:
        clouds.ask_cloud("y", wrong)
    assert error.value.again == again
    assert again in BY_ID


def test_each_deployment_is_tried_and_the_one_that_is_not_there_is_asked_for_again(simulated: Running) -> None:
    wrong = _known(simulated, "foundry")
    wrong.answers["foundry_opus"] = "never-deployed"
    with pytest.raises(WrongAnswerError, match="never-deployed") as error:
        clouds.ask_cloud("y", wrong)
    assert error.value.again == "foundry_opus"


def _even(given: str, _: Known) -> str:
    if given == "back":
        raise WrongAnswerError("the first one is the cause", again="first")
    if given != "2":
        raise WrongAnswerError("write 2")
    return given


def _interview(
    monkeypatch: pytest.MonkeyPatch, place: Path, given: Mapping[str, str], answers: Mapping[str, str]
) -> tuple[Known, list[str]]:
    """Run through two questions; return what is known, and which a person was asked."""
    asked: list[str] = []
    checked: list[str] = []

    def check(answer: str, known: Known) -> str:
        checked.append(answer)
        assert len(checked) < 10, "checked for ever"
        return _even(answer, known)

    questions = tuple(Question(id=name, words=name, check=check) for name in ("first", "second"))

    def ask(_: Any, question: Question, __: Known) -> str:
        asked.append(question.id)
        return answers[question.id]

    monkeypatch.setattr(Interview, "_ask", ask)
    return Interview(questions, given, Kept(place / "state.json"), asks=True).run(), asked


def test_an_answer_by_option_that_sends_back_is_not_taken_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known, asked = _interview(monkeypatch, tmp_path, {"first": "2", "second": "back"}, {"first": "2", "second": "2"})
    assert asked == ["first", "second"]
    assert known.answers == {"first": "2", "second": "2"}


def test_a_wrong_answer_by_option_ends_it_where_nobody_can_mend_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Failure, match="--first: write 2"):
        _interview(monkeypatch, tmp_path, {"first": "3"}, {})


def test_nobody_asked_means_that_no_cloud_is(simulated: Running, tmp_path: Path) -> None:
    known = _known(simulated, "anthropic", ANTHROPIC_DIRECT_KEY="sk-ant-well-formed-and-refused-0000")
    question = BY_ID["check_cloud"]
    run = Interview((question,), {}, Kept(tmp_path / "state.json"), asks=False)
    assert run._beforehand(question, known) == ("given", "n")


WISHES = Wishes(address="192.168.1.10", vault_key="prompt")
SECRETS = {"ANTHROPIC_DIRECT_KEY": Secret("sk-ant-0000000000000000")}
GOOD = "a passphrase of some words"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Be in an empty clone, at a terminal where these passphrases are typed, and then Ctrl-C."""
    monkeypatch.chdir(tmp_path)

    def typing(*passphrases: str) -> list[str]:
        left = list(passphrases)

        def asked(_: str) -> bytes:
            if not left:
                raise vault_keys.NoneGivenError("no passphrase was given; nothing was done")
            return left.pop(0).encode()

        monkeypatch.setattr(vault_keys, "_asked", asked)
        return left

    return typing


def test_a_weak_passphrase_and_two_that_differ_are_asked_for_again(typed: Callable[..., list[str]]) -> None:
    left = typed("short", GOOD, "another of some words", GOOD, GOOD)
    apply._stored(WISHES, SECRETS, asks=True)
    assert left == []
    assert project.VaultFiles("secrets/{scope}.yml").all() == [Path("secrets/all.yml")]


def test_leaving_at_the_passphrase_leaves_nothing(typed: Callable[..., list[str]]) -> None:
    typed("short")
    with pytest.raises(SecretError, match="no passphrase"):
        apply._stored(WISHES, SECRETS, asks=True)
    assert not list(Path("secrets").glob("*"))


def test_a_vault_that_could_not_be_filled_is_not_left_empty(
    typed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise SecretError("the disk is full")

    typed(GOOD, GOOD)
    monkeypatch.setattr(project.vault, "change", full)
    with pytest.raises(SecretError, match="disk is full"):
        apply._stored(WISHES, SECRETS, asks=True)
    assert not Path("secrets/all.yml").exists()


def test_a_wrong_passphrase_of_a_vault_that_is_there_changes_nothing(typed: Callable[..., list[str]]) -> None:
    typed(GOOD, GOOD)
    apply._stored(WISHES, SECRETS, asks=True)
    before = Path("secrets/all.yml").read_bytes()
    typed("not the one of before")
    with pytest.raises(SecretError, match="not its key"):
        apply._stored(WISHES, {"MORE": Secret("0000000000000000")}, asks=False)
    assert Path("secrets/all.yml").read_bytes() == before
    typed("not the one of before", GOOD)
    back = apply._stored(WISHES, {"MORE": Secret("0000000000000000")}, asks=True)
    assert Path("secrets/all.yml").read_bytes() != before
    back()
    assert Path("secrets/all.yml").read_bytes() == before


def test_the_key_of_another_secrets_file_is_told_at_once(typed: Callable[..., list[str]], tmp_path: Path) -> None:
    typed(GOOD, GOOD)
    apply._stored(WISHES, SECRETS, asks=True)
    vault_keys.write_key_file(other := tmp_path.parent / f"{tmp_path.name}.key")
    for wrong, why in ((str(other), "does not open secrets/all.yml"), (f"{other}.no", "does not exist")):
        with pytest.raises(WrongAnswerError, match=why):
            about_project.vault_key(wrong, Known())
    assert about_project.vault_key("passphrase", Known()) == "prompt"


def test_keys_are_made_once_and_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ssh_keys.usual() == ssh_keys.NEW
    path = ssh_keys.make()
    assert (path.stat().st_mode & 0o777, ssh_keys.usual()) == (0o600, "~/.ssh/id_ed25519")
    assert ssh_keys.public_half(ssh_keys.checked("~/.ssh/id_ed25519")).startswith("ssh-ed25519 ")
    with pytest.raises(WrongAnswerError, match="is there already"):
        ssh_keys.make()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("192.168.1.10", ("192.168.1.10", 22)),
        ("box.lan:2222", ("box.lan", 2222)),
        ("[fd00::2]:2222", ("fd00::2", 2222)),
        ("fd00::2", ("fd00::2", 22)),
    ],
)
def test_addresses(given: str, found: tuple[str, int]) -> None:
    assert split_address(given) == found


def test_how_a_key_is_installed_by_hand_says_the_port() -> None:
    more = BY_ID["install_password"].more
    assert callable(more)
    said = more(Known(answers={"host": "[fd00::2]:2222", "ssh_user": "admin", "ssh_key": "~/.ssh/id_ed25519"}))
    assert "ssh-copy-id -p 2222 -i ~/.ssh/id_ed25519.pub admin@fd00::2" in said
    assert "| ssh -p 2222 admin@fd00::2" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hosst: a\n", 'did you mean "host"'),
        ("- a\n", "holds no answers"),
        ("anthropic_key: x\n", "secret"),
        (":", "YAML"),
    ],
)
def test_a_file_of_answers_that_cannot_be_taken(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text(text)
    with pytest.raises(AnswersError, match=why):
        read(tmp_path / "answers.yaml", QUESTIONS)


def test_nobody_at_an_address_is_told() -> None:
    with pytest.raises(WrongAnswerError, match="does not let us in at port 9"):
        host.host_key("127.0.0.1", 9)


USUAL = defaults()["firewall"]["shut"]
MACHINE = Machine("debian", "13", "Debian GNU/Linux 13 (trixie)", "x86_64", 16000, 80000, "root")


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ("all", {"open": {"tcp/80": ["lan"], "udp/51820": ["lan"]}, "shut": USUAL}),
        ("none", {"shut": [*USUAL, "tcp/80", "udp/51820"]}),
        ("TCP/80", {"open": {"tcp/80": ["lan"]}, "shut": [*USUAL, "udp/51820"]}),
    ],
)
def test_who_is_reached_there_is_asked_once_and_written(answer: str, made: dict[str, Any]) -> None:
    listening = tuple(Listener(port, "root") for port in ("tcp/22", "tcp/80", "udp/51820"))
    known = Known(answers={"host": "192.168.1.10"}, machine=replace(MACHINE, listening=listening))
    (question,) = (each for each in about_host.QUESTIONS if each.id == "reachable")
    assert question.when(known)
    assert "tcp/22" not in told(question.words, known)
    known.answers["reachable"] = question.check(answer, known)
    assert in_use.firewall(known) == {"firewall": made}
    with pytest.raises(WrongAnswerError, match='"tcp/22" is none of them'):
        question.check("tcp/80, tcp/22", known)


def test_a_host_that_nobody_uses_is_not_asked_about() -> None:
    known = Known(answers={"host": "192.168.1.10"}, machine=MACHINE)
    (question,) = (each for each in about_host.QUESTIONS if each.id == "reachable")
    assert not question.when(known)
    assert in_use.firewall(known) == {}
    assert not [each.id for each in about_host.QUESTIONS if each.id.startswith("replaces") and each.when(known)]
    assert in_use.gives_way(known) == {}


@pytest.mark.parametrize(
    ("giving_way", "answer", "made"),
    [
        (("docker-ce", "containerd.io"), "yes", {"replaces": ["docker-ce", "containerd.io"]}),
        (("docker-ce", "containerd.io"), "n", {"rootless_docker": {"source": "docker"}}),
        (("their-clock",), "no", {}),
    ],
)
def test_what_does_not_stand_beside_ours_is_asked_for_once_and_written(
    giving_way: tuple[str, ...], answer: str, made: dict[str, Any]
) -> None:
    known = Known(machine=replace(MACHINE, giving_way=giving_way))
    (question,) = (each for each in about_host.QUESTIONS if each.id == "replaces")
    assert question.when(known)
    assert f"{', '.join(giving_way)} would have to go there" in told(question.words, known)
    assert question.default == "no"
    known.answers["replaces"] = question.check(answer, known)
    assert in_use.gives_way(known) == made


def test_containers_of_roots_docker_are_asked_for_once() -> None:
    known = Known(machine=replace(MACHINE, containers=("db", "web")))
    (question,) = (each for each in about_host.QUESTIONS if each.id == "replaces_root")
    assert question.when(known)
    assert "db, web run in root's Docker there" in told(question.words, known)
    for answer, made in (("no", {}), ("y", {"rootless_docker": {"replaces_root": True}})):
        known.answers["replaces_root"] = question.check(answer, known)
        assert in_use.gives_way(known) == made


@pytest.mark.parametrize(
    ("machine", "why", "again"),
    [
        (replace(MACHINE, version="12", title="Debian GNU/Linux 12"), "this is Debian GNU/Linux 12", "host"),
        (replace(MACHINE, system="ubuntu", title="Ubuntu 24.04"), "this is Ubuntu 24.04", "host"),
        (replace(MACHINE, memory=2000), "has 2000 MiB of memory", "host"),
        (replace(MACHINE, disk=5000), "has 5000 MiB of free disk", "host"),
        (replace(MACHINE, sudo="none"), "admin is not root and has no sudo", "ssh_user"),
    ],
)
def test_a_machine_that_cannot_become_a_host_leads_back(machine: Machine, why: str, again: str) -> None:
    known = Known(answers={"ssh_user": "admin"})
    with pytest.raises(WrongAnswerError, match=why) as error:
        about_host._judged(machine, known)
    assert error.value.again == again
    assert known.machine is None
    about_host._judged(MACHINE, known)
    assert known.machine == MACHINE
