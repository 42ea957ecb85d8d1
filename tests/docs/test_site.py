"""The site is built without a warning, and its pages load nothing from the network."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.command_line import ROOT


class Loaded(HTMLParser):
    """What a page loads, and the text of its formulas."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.urls.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.urls.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """As `make docs`, in a folder of its own, with every proxy closed."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-c", "docs", "-d", str(out / "doctrees"), ".", str(out / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


@pytest.mark.long
def test_the_site(site):
    """One test: the site is built once, whichever process runs it."""
    pages = {p.relative_to(site).as_posix(): p.read_text() for p in site.rglob("*.html")}
    assert {"index.html", "docs/index.html", "docs/faq.html", "docs/reference/rules.html"} <= {
        *pages
    }
    for name in ("adding_a_rule", "cluster", "training_loop", "verdicts", "science", "paper"):
        assert f"docs/{name}.html" in pages

    for name, text in pages.items():
        urls = Loaded(text).urls
        assert [url for url in urls if url.startswith(("http", "//"))] == [], name
        assert "<!-- generated" not in text
        assert str(ROOT) not in text, f"{name} names a path of this machine"

    assert pages["docs/reference/rules.html"].count("<math xmlns") >= 6
    for page in ("rules/hybrid", "optimizers/rmsprop", "stepsizes/trust_ratio"):
        assert "<math xmlns" in pages[f"docs/reference/{page}.html"]
    assert "θ" in pages["docs/science.html"]

    notebook = pages["docs/rules_on_a_toy.html"]
    shown = re.findall(r'<img [^>]*src="([^"]+\.png)"', notebook)
    assert len(shown) == 4
    assert all((site / "docs" / path).resolve().exists() for path in shown)
    for word in ("multiplicative  right start: True   left start: False", "tensors"):
        assert word in re.sub(r"<[^>]+>", "", notebook)


def test_the_configuration_names_no_path_of_a_machine():
    text = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert not re.search(r"[\"'](/|~|[A-Z]:\\)", text)
