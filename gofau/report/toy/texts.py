"""Writes a table as Markdown and as TeX."""

Rows = list[list[str]]


def markdown(head: list[str], words: int, rows: Rows) -> str:
    """A Markdown table whose first ``words`` columns are left-aligned words; the others are
    right-aligned numbers."""
    lines = [head, ["---"] * words + ["---:"] * (len(head) - words), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("*", "\\*")


def tex(head: list[str], words: int, rows: Rows, group: int) -> str:
    """A TeX tabular, with a gap wherever one of the first ``group`` columns changes."""
    lines = [f"\\begin{{tabular}}{{{'l' * words}{'r' * (len(head) - words)}}}", "\\toprule"]
    lines += [" & ".join(map(_escaped, head)) + r" \\", "\\midrule"]
    for i, row in enumerate(rows):
        if i and rows[i - 1][:group] != row[:group]:
            lines.append("\\addlinespace")
        lines.append(" & ".join(map(_escaped, row)) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


def _escaped(text: str) -> str:
    signs = {"†": "$^\\dagger$", "—": "--", "±": "$\\pm$", "η": "$\\eta$", "%": "\\%", "_": "\\_"}
    signs |= {"≤": "$\\le$", "<": "$<$", ">": "$>$"}
    return "".join(signs.get(sign, sign) for sign in text)


def number(value: float) -> str:
    """Three digits, with an exponent where the distance is small.

    >>> number(0.000123), number(0.5), number(12.0)
    ('1.23e-4', '0.5', '12')
    """
    if value == 0 or 1e-2 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"
