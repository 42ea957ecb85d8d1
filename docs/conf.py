"""Sphinx's configuration of the site: `make docs`.

The sources are the pages of docs/ and, where they lie, the README of each experiment, the tables in
results/ and the pages beside them, so that nothing is copied and every link of a page works in the
repository as well as on the site. Nothing is loaded from the network, neither in the build nor by
the pages.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # this checkout is what is documented

project = "gofau"
root_doc = "docs/index"
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "docs._ext.mathml",
    "docs._ext.docstrings",
    "docs._ext.pages",
]

include_patterns = [
    *("docs/*.md", "docs/reference/*.md", "docs/reference/*/*.md", "experiments/*/*.md"),
    *("results/*.md", "results/*/*.md", "CONTRIBUTING.md", "CHANGELOG.md"),
]
exclude_patterns = [
    *(".*", "gofau", "configs", "tests", "scripts", "runs", "data", "outputs", "wandb"),
    *("build", "dist", "docs/_*"),
]

# Names in the backticks of docstrings are objects where there is one, else code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_param = False  # "params, lr and what follows" is no name of a parameter
napoleon_use_rtype = False
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries = False  # each has a heading of its own

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # not "cache": a cached output would outlive a change of gofau
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

html_theme = "furo"
html_title = "gofau"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
