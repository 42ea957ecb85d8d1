"""Whether a table says that its runs differ in what they were made with."""

import pandas as pd

from gofau.report.alike import mixed, unlike


def test_what_differs_is_named():
    frame = pd.DataFrame({"compute.threads": [1.0, 2.0], "compute.precision": ["fp32", "fp32"]})
    assert unlike(frame) == "Not all runs were made under the same conditions (threads: 1, 2)."
    assert unlike(frame[:1]) == ""
    assert unlike(pd.DataFrame({"compute.threads": [1.0, None]})) == ""


def test_fingerprints_are_mixed_where_one_name_has_several():
    rows = [("hybrid", "a", "x"), ("hybrid", "b", "x"), ("additive", "c", "x")]
    frame = pd.DataFrame(rows, columns=["rule.name", "fingerprint.rule", "fingerprint.data"])
    frame["dataset.name"] = "digits"
    assert mixed(frame) == (
        "Mixed fingerprints (rule hybrid: 2): not all runs used the same code and data."
    )
    assert mixed(frame[1:]) == ""
    changed = frame[1:].assign(**{"fingerprint.data": ["x", "y"]})
    assert "data digits: 2" in mixed(changed)
    assert mixed(frame[["rule.name"]]) == ""
