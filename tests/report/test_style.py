"""Every rule has a colour of its own, and figures are the same bytes in another process."""

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from gofau.config.place import configs
from gofau.report.style import OWN_COLOURS, RULE_COLOURS, rule_colour, save_figure, styled


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(to_rgb(a), to_rgb(b), strict=True)) ** 0.5


def test_every_rule_that_comes_with_gofau_has_its_own_colour():
    named = {path.stem for path in (configs() / "rule").glob("*.yaml")}
    assert named | {"own"} == set(RULE_COLOURS)
    pairs = combinations([*RULE_COLOURS.values(), *OWN_COLOURS, "#FFFFFF"], 2)
    assert min(distance(a, b) for a, b in pairs) > 0.25


@pytest.mark.parametrize("count", [2, len(OWN_COLOURS), 40])
def test_no_two_rules_of_ones_own_share_a_colour_in_a_figure(count):
    # Anagrams: their names lead to the same place in the palette.
    names = [f"mine{i}{99 - i}" for i in range(10, 10 + count)] + ["ab", "ba", *RULE_COLOURS]
    with styled():
        found = [rule_colour(name) for name in names]
        assert [rule_colour(name) for name in names] == found, "asked again"
    assert len(set(found)) == len(names)
    with styled():
        assert rule_colour(names[0]) == found[0], "in another figure"


def test_a_pdf_has_no_dates_and_its_letters_are_truetype(tmp_path):
    with styled():
        figure = Figure()
        figure.subplots().set_title("θ, 95 %")
        *_, pdf = save_figure(figure, tmp_path / "a")
    text = pdf.read_bytes()
    assert text.startswith(b"%PDF")
    assert b"/CIDFontType2" in text
    for word in (b"CreationDate", b"Producer", b"/Type3"):
        assert word not in text


def test_a_png_has_few_colours_and_they_look_the_same(tmp_path):
    with styled():
        figure = Figure()
        axes = figure.subplots()
        axes.imshow(np.linspace(0, 1, 100).reshape(10, 10))
        for place, colour in enumerate(RULE_COLOURS.values()):
            axes.bar(place, 3, color=colour)
        save_figure(figure, tmp_path / "few", pdf=False)
        figure.savefig(tmp_path / "all.png", dpi=150)
    few = Image.open(tmp_path / "few.png")
    every = Image.open(tmp_path / "all.png")
    assert few.mode == "P"
    assert few.info["dpi"] == every.info["dpi"]
    assert few.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    apart = ImageChops.difference(few.convert("RGB"), every.convert("RGB"))
    assert np.asarray(apart).max() <= 20
    assert (tmp_path / "few.png").stat().st_size < 0.6 * (tmp_path / "all.png").stat().st_size


PROGRAM = """
import sys
from pathlib import Path
from matplotlib.figure import Figure
from gofau.report.style import save_figure, styled
with styled():
    figure = Figure()
    figure.subplots().bar([1, 2], [3, 4], hatch="//", label="ä")
    save_figure(figure, Path(sys.argv[1]) / "a")
"""


def test_another_process_draws_the_same_bytes(tmp_path, monkeypatch):
    found = []
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True)
        found.append([hashlib.sha256(p.read_bytes()).digest() for p in sorted(folder.iterdir())])
    assert found[0] == found[1]
    assert len(found[0]) == 3
