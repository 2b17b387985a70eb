"""A report as one HTML file: the picture and its tables, light and dark, without a script or a request.

Names of categories and reasons for changes may be anybody's. They are escaped, and a content security policy in the
page forbids scripts and everything from elsewhere.
"""

import re
from collections.abc import Sequence
from html import escape as escape_html
from typing import Any, Final

from worker.core.redaction import escape
from worker.core.wording import plural
from worker.report.summary import Summary, Table

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #22272e; --faint: #6b7683; --rule: #d9dee4; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181d; --ink: #e4e8ed; --faint: #98a3b0; --rule: #343b45; }
}
body { margin: 1.5rem auto; max-width: 76rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 0.9rem/1.45 "DejaVu Sans", system-ui, sans-serif; }
h1 { font-size: 1.2rem; } h2 { font-size: 0.95rem; margin: 1.8rem 0 0.3rem; }
p { margin: 0.1rem 0; } figure { margin: 1rem 0; overflow-x: auto; }
figure svg { width: 100%; min-width: 48rem; height: auto; }
.scrolled { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { color: var(--faint); font-weight: normal; white-space: nowrap; }
td:first-child, td:nth-child(2) { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
"""
_FOREGROUND: Final = {"#22272e": "--ink", "#6b7683": "--faint", "#d9dee4": "--rule"}
_COLOR: Final = re.compile(r"(fill|stroke): (#22272e|#6b7683|#d9dee4)")
_BACKGROUND: Final = '" style="fill: #ffffff"/>'
_SHARES: Final = {"share", "expected"}


def render_page(summary: Summary, drawn: bytes, *, refresh_s: float | None) -> bytes:
    """Write the page.

    Args:
        summary: What the report says.
        drawn: Its picture, an SVG document.
        refresh_s: After so many seconds a browser loads the page again; None: never.
    """
    document = summary.document
    title = f"sampling-worker, {document['from']} to {document['to']}, {plural(len(document['workers']), 'worker')}"
    refresh = "" if refresh_s is None else f'<meta http-equiv="refresh" content="{max(1, round(refresh_s))}">\n'
    said = "\n".join(f"<p>{_text(sentence)}</p>" for sentence in summary.sentences)
    tables = "\n".join(_table(table) for table in summary.tables)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_text(title)}</h1>
{said}
<figure>{_inline(drawn.decode())}</figure>
{tables}
</body>
</html>
"""
    return page.encode()


def _inline(picture: str) -> str:
    """Make an SVG document a part of a page, in the page's colours."""
    begin = picture.index("<svg")
    body = re.sub(r"<metadata>.*?</metadata>", "", picture[begin:], count=1, flags=re.DOTALL)
    body = body.replace("<svg", '<svg role="img" aria-label="The log over time; the tables below tell it in words"', 1)
    body = _COLOR.sub(lambda found: f"{found[1]}: var({_FOREGROUND[found[2]]})", body)
    return body.replace(_BACKGROUND, '" style="fill: var(--paper)"/>')


def _table(table: Table) -> str:
    sides = [_side([row[i] for row in table.rows]) for i in range(len(table.columns))]
    named = zip(table.columns, sides, strict=True)
    head = "".join(f'<th scope="col"{side}>{_text(column)}</th>' for column, side in named)
    rows = "\n".join(f"<tr>{_cells(table.columns, sides, row)}</tr>" for row in table.rows)
    return (
        f'<h2>{_text(table.title)}</h2>\n<div class="scrolled"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cells(columns: Sequence[str], sides: Sequence[str], row: Sequence[Any]) -> str:
    cells = zip(columns, sides, row, strict=True)
    return "".join(f"<td{side}>{_text(_shown(column, cell))}</td>" for column, side, cell in cells)


def _side(cells: Sequence[Any]) -> str:
    """Return the attribute of a column: numbers stand to the right."""
    return ' class="number"' if all(not isinstance(cell, str) or cell == "-" for cell in cells) else ""


def _shown(column: str, cell: Any) -> str:
    """Write a cell as the picture does."""
    if isinstance(cell, float):
        return f"{cell:.2%}" if column in _SHARES else f"{cell:+.2f}" if column == "z" else f"{cell:,.4g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _text(text: str) -> str:
    return escape_html(escape(text))
