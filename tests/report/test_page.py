"""The page of all results: whole by itself, and in a real browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from gofau.report.cells import read
from gofau.report.claims import judged
from gofau.report.digest import digest
from gofau.report.experiments import folders
from gofau.report.make import figures, tables_of
from gofau.report.page import write_page
from tests.report.records import runs, write
from tests.report.test_report import better

TOY = """| optimizer | rule | score |
| --- | --- | ---: |
| SGD | additive | 0.5 |
| SGD | hybrid | 0.25\\* |

Lower is better.
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two experiments, with two problems in one of them; a toy, and a benchmark."""
    folder = tmp_path_factory.mktemp("page")
    rates = (0.01, 0.1, 1.0)
    write(folder / "tab3_cifar10_lr", runs(better, lr=rates, optimizer=("sgd", "adam")))
    rules = ("additive", "hybrid", "power")
    write(folder / "mine", runs(better, model=("mlp", "small_cnn"), rule=rules))
    for name, text in (("tab1_toy", TOY), ("bench_optim", "# Costs\n\n| a |\n|---|\n| 2 |\n")):
        (folder / name).mkdir()
        (folder / name / "table.md").write_text(text, encoding="utf-8")
        (folder / name / "table.csv").write_text("a\n1\n")
    figures(folder, ["mine"])
    made = {path: tables_of(path) for path in folders(folder)}
    digests = {path: digest(path.name, read(path)) for path in made}
    write_page(folder, made, digests, judged(folder))
    return folder


class Page(HTMLParser):
    """The tags of a page, and that each one that opens is closed."""

    VOID = frozenset({"meta", "img", "br", "input", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_is_whole_and_needs_nothing_else(results):
    text = (results / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(page.all("img")) == 1
    assert "The figure over_lr is missing" in text
    assert all(img["src"].startswith("data:image/svg+xml;base64,") for img in page.all("img"))
    assert not page.all("link")
    assert all("src" not in script for script in page.all("script"))
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "@import" not in text
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    selects = {s["name"] for s in page.all("select")}
    assert selects == {"problem", "optimizer", "rule", "experiment"}
    assert {"tab3_cifar10_lr-robustness", "mine-accuracy", "claims"} <= set(ids)


def test_links_lead_to_places_on_the_page_and_to_files_beside_it(results):
    page = Page((results / "report.html").read_text(encoding="utf-8"))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [a["href"] for a in page.all("a")]
    here = {link[1:] for link in links if link.startswith("#")}
    assert here <= ids
    assert here >= {"mine", "tab3_cifar10_lr", "tab1_toy", "bench_optim"}
    beside = {link for link in links if not link.startswith("#")} - {"../docs/verdicts.md"}
    assert all((results / link).is_file() for link in beside)
    assert {"mine/runs.csv", "mine/curves.csv.gz", "tab1_toy/table.csv"} <= beside


def test_every_verdict_is_explained_on_the_page(results):
    text = (results / "report.html").read_text(encoding="utf-8")
    for word in ("supported", "not supported", "no difference", "undecided", "missing"):
        assert f"<li><b>{word}</b>: " in text


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
browser = [
    pytest.mark.long,
    pytest.mark.skipif(BROWSER is None, reason="no headless browser: install chromium to run this"),
]


class Shown:
    """What a browser shows of the page after its scripts, and after ``then``, a script that may
    leave something in ``document.title``."""

    def __init__(self, results, tmp_path, state, then=""):
        page = (results / "report.html").read_text(encoding="utf-8")
        copy = results / "driven.html"
        script = f"<script>addEventListener('load', async () => {{ {then} }});</script></body>"
        copy.write_text(page.replace("</body>", script), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        flags += ["--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND"]
        flags += ["--window-size=1280,800", "--dump-dom"]
        address = f"file://{copy}{state}"
        command = [str(BROWSER), *flags, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        self.text = done.stdout

    @property
    def title(self):
        (title,) = re.findall("<title>(.*?)</title>", self.text)
        return json.loads(title.replace("&amp;", "&"))

    def table(self, name):
        return self.text.split(f'id="{name}"')[1].split("</section>")[0]

    def rows(self, name):
        """The rows that are shown: (attributes, cells)."""
        body = self.table(name).split("<tbody>")[1].split("</tbody>")[0]
        found = re.findall(r"<tr([^>]*)>(.*?)</tr>", body, re.DOTALL)
        return [(head, row) for head, row in found if "hidden" not in head]

    def columns(self, name):
        heads = re.findall(r"<th([^>]*)><button[^>]*>([^<]*)", self.table(name))
        return [text for attributes, text in heads if "hidden" not in attributes]


class TestInABrowser:
    pytestmark = browser

    def test_rows_are_filtered_and_sorted_as_the_address_says(self, results, tmp_path):
        page = Shown(results, tmp_path, "#cells?optimizer=sgd&rule=hybrid&sort=cells:result:down")
        rows = page.rows("cells")
        assert len(rows) == 3 + 2
        assert f"{len(rows)} cells shown" in page.text
        assert all('data-optimizer="sgd"' in h and 'data-rule="hybrid"' in h for h, _ in rows)
        column = page.columns("cells").index("result")
        cells = [re.findall(r"<td[^>]*>", row)[column] for _, row in rows]
        numbers = [float(re.findall(r'data-n="([^"]*)"', cell)[0]) for cell in cells]
        assert numbers == sorted(numbers, reverse=True)
        assert len(set(numbers)) > 1
        ((_, row),) = page.rows("tab1_toy-table-0")
        assert "0.25*" in row, "the toys are filtered too"

    def test_a_rule_is_shown_beside_the_baseline(self, results, tmp_path):
        page = Shown(results, tmp_path, "#?rule=power")
        columns = page.columns("mine-accuracy")
        assert {"additive", "power"} <= set(columns)
        assert "hybrid" not in columns

    def test_problem_and_experiment(self, results, tmp_path):
        page = Shown(results, tmp_path, "#?problem=digits%2C+small_cnn&experiment=mine")
        rows = page.rows("cells")
        assert len(rows) == 2 * 3
        assert all('data-model="small_cnn"' in head for head, _ in rows)
        sections = re.findall(r'<section data-experiment="(\w+)"( hidden="")?', page.text)
        assert [name for name, hidden in sections if not hidden] == ["mine"]

    def test_the_address_keeps_filters_sorting_and_place(self, results, tmp_path):
        then = """
            filters.elements.rule.value = "hybrid";
            filters.dispatchEvent(new Event("change"));
            const heads = [...document.querySelectorAll("#cells th")];
            const head = heads.find((th) => th.textContent === "result");
            head.firstElementChild.click();
            head.firstElementChild.click();
            document.querySelector('nav a[href="#mine"]').click();
            await new Promise((done) => setTimeout(done, 500));
            document.title = JSON.stringify(location.hash);
        """
        kept = Shown(results, tmp_path, "", then).title
        assert kept == "#mine?rule=hybrid&sort=cells%3Aresult%3Adown"
        again = Shown(results, tmp_path, kept, "document.title = JSON.stringify(state());").title
        assert again == kept.split("?")[1]

    def test_no_heading_is_hidden_and_the_claims_fit(self, results, tmp_path):
        then = """
            await new Promise((done) => setTimeout(done, 500));
            const top = document.getElementById("mine").getBoundingClientRect().top;
            const bar = filters.getBoundingClientRect().bottom;
            const claims = [...document.querySelectorAll(".wrap")];
            const wide = claims.map((table) => table.scrollWidth - table.clientWidth);
            document.title = JSON.stringify([top - bar, scrollY, Math.max(...wide)]);
        """
        below, scrolled, wider = Shown(results, tmp_path, "#mine", then).title
        assert 0 <= below < 60
        assert scrolled > 500
        assert wider <= 0
