"""The wheel: the library alone, typed, in need of torch and nothing else."""

import subprocess
import sys
import zipfile
from email.parser import Parser

import pytest

from tests.command_line import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_needs_torch_alone(wheel):
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
        (metadata,) = (n for n in names if n.endswith("/METADATA"))
        headers = Parser().parsestr(z.read(metadata).decode())
    package = {n for n in names if ".dist-info/" not in n}
    ours = {str(p.relative_to(ROOT)) for p in ROOT.glob("gofau/**/*.py")} | {"gofau/py.typed"}
    ours |= {"gofau/report/page.html.j2", "gofau/report/published.yaml"}
    ours |= {f"gofau/{p.relative_to(ROOT)}" for p in ROOT.glob("configs/**/*.yaml")}
    assert package == ours
    needs = [need for need in headers.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert needs == ["torch>=2.11"]


@pytest.mark.slow
def test_the_library_works_from_the_wheel_alone(wheel, tmp_path):
    """Unpacked elsewhere, imported before the checkout, with only torch's own needs in sight."""
    with zipfile.ZipFile(wheel) as z:
        z.extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import torch, gofau.optim as o;"
        "p = torch.ones(2, requires_grad=True); p.sum().backward(); o.Adam([p]).step();"
        "assert gofau.__file__.startswith(sys.argv[1]), gofau.__file__;"
        "bad = {'hydra', 'omegaconf', 'torchvision', 'pandas', 'sklearn', 'rich', 'wandb'};"
        "print(sorted(bad & set(sys.modules)))"
    ).replace("import torch, gofau.optim as o", "import torch, gofau, gofau.optim as o")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
