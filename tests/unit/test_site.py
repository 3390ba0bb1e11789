"""docs/ as a site: it builds, asks nobody, and answers a newcomer's questions within two clicks of its start page."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest

pytestmark = pytest.mark.slow  # lint builds it, too

PROJECT = Path(__file__).resolve().parents[2]
CLICKS = 2
# question: the page and its heading's anchor; the words that the answer must have
QUESTIONS = {
    "what hardware do I need": ("faq.html#what-hardware-does-it-need", "3 GiB of memory"),
    "what does it cost": ("faq.html#what-does-it-cost", "claude-usage"),
    "how do I update": ("faq.html#how-do-i-update", "signalbox upgrade"),
    "how do I go back a version": ("faq.html#how-do-i-go-back-to-the-version-before", "upgrade --back"),
    "how do I uninstall": ("faq.html#how-do-i-uninstall-it", "signalbox remove"),
    "how do I back up": ("faq.html#how-do-i-back-up-a-host", "no setting for it yet"),
    "a second host": ("faq.html#can-i-have-a-second-host", "signalbox init"),
    "the Mac with the model sleeps": ("faq.html#what-if-the-mac-with-the-model-sleeps", "left out"),
    "the cloud is down": ("faq.html#what-if-the-cloud-is-down", "gateway.fallbacks"),
    "from a phone": ("faq.html#can-i-use-it-from-a-phone", "claude-session"),
    "several people": ("faq.html#can-several-people-use-one-host", "a host each"),
    "a GPU in the same box": ("faq.html#can-the-model-run-on-the-same-machine-a-gpu-in-the-box", "not the loopback"),
    "a bastion": ("faq.html#can-i-reach-hosts-through-a-bastion", "ProxyJump"),
    "air gap": ("faq.html#does-it-work-air-gapped", "mirrors"),
    "a proxy": ("faq.html#does-it-work-behind-a-proxy", "extra_ca_certificates"),
    "a Windows laptop": ("faq.html#does-it-work-from-a-windows-laptop", "WSL"),
    "IPv6": ("faq.html#does-it-work-with-ipv6", "IPv4"),
    "which model, how much memory": ("faq.html#which-model-and-how-much-memory-does-it-want", "32768"),
    "what leaves my network": ("faq.html#what-leaves-my-network", "--private"),
    "where are my keys": ("faq.html#where-are-my-keys", "cannot read them"),
    "can it lock me out": ("faq.html#can-it-lock-me-out-of-my-host", "its own way back"),
    "the licence": ("faq.html#what-is-the-licence", "None is chosen yet"),
    "what is a lane": ("glossary.html", "Lane"),
    "what does an error message mean": ("troubleshooting.html", "Cause"),
}


class _Page(HTMLParser):
    """links: of its text, not of its menus. ids: its anchors. loads: what a browser fetches for it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links, self.ids, self.loads, self.text = set[str](), set[str](), set[str](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.add(str(given["href"]))
        if tag in ("script", "link", "img", "iframe") and (source := given.get("src") or given.get("href")):
            self.loads.add(source)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def build(target: Path, source: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, _Page]:
    target = tmp_path_factory.mktemp("site")
    done = build(target)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(target)): _Page(path.read_text()) for path in target.rglob("*.html")}


def reached(site: dict[str, _Page], clicks: int) -> set[str]:
    """Return what so many clicks lead to from the start page: pages, and places on them as page#anchor."""
    found, edge = {"index.html"}, {"index.html"}
    for _ in range(clicks):
        edge = {
            unquote(urljoin(page, link))
            for page in {urldefrag(each).url for each in edge} & set(site)
            for link in site[page].links
            if not re.match(r"[a-z]+:", link)
        } - found
        found |= edge
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_within_two_clicks(site: dict[str, _Page], question: str) -> None:
    place, words = QUESTIONS[question]
    page, anchor = urldefrag(place)
    assert place in reached(site, CLICKS), f"{question}: {place} is further away"
    assert not anchor or anchor in site[page].ids
    assert words in "".join(site[page].text)


def test_what_is_nowhere_is_not_found(site: dict[str, _Page]) -> None:
    assert "faq.html#who-are-you" not in reached(site, CLICKS)
    assert "faq.html" in reached(site, 1)
    assert "faq.html#what-is-the-licence" not in reached(site, 0)


def test_no_page_asks_another_server(site: dict[str, _Page]) -> None:
    asked = {each for page in site.values() for each in page.loads if re.match(r"(https?:)?//", each)}
    assert asked == set()


def test_drills_are_evidence_and_no_manual(site: dict[str, _Page]) -> None:
    assert "drills/README.html" in reached(site, 1) or "drills/index.html" in reached(site, 1)
    assert not {each for each in reached(site, 1) if re.match(r"drills/(?!README|index)", each)}


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    for name in ("docs", "mkdocs.yml", "scripts"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "docs").unlink()
    (tmp_path / "docs").mkdir()
    for page in (PROJECT / "docs").glob("*.md"):
        (tmp_path / "docs" / page.name).write_text(page.read_text())
    (tmp_path / "docs" / "index.md").write_text("[x](faq.md#nowhere) [y](../signalbox/nothing.py)")
    done = build(tmp_path / "site", tmp_path)
    assert done.returncode == 1
    assert "does not contain an anchor '#nowhere'" in done.stderr
    assert "there is no ../signalbox/nothing.py" in done.stderr
