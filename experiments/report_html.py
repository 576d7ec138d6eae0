"""Pieces of a page: texts that cannot be anything else, numbers, tables, figures side by side. Pure."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

NONE = "–"
_LONGEST = 400  # characters of a text that a table shows
# A path from the root, a home or a drive: with spaces if it is quoted.
_PATH = re.compile(
    r"""(?P<quote>['"])(?P<quoted>(?:file:)?(?:/|~|[A-Za-z]:[\\/]|\\\\)[^'"]*)(?P=quote)"""
    r"""|(?<![\w.)\]])(?P<bare>(?:~\w*|[A-Za-z]:)?[\\/][^\s'":;,()\[\]<>]+)"""
)


def esc(value: Any) -> str:
    """A text as HTML that any file can hold, without what cannot be seen, and not without end."""
    text = str(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    return html.escape("".join(character if character.isprintable() else " " for character in text))


def number(value: Any, digits: int = 6) -> str:
    """A number as people read it; a dash where there is none."""
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    return f"{float(value):,.{digits}g}" if math.isfinite(value) else NONE


def duration(seconds: float) -> str:
    """Seconds as two units."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < 60.0:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(index for index, (count, _) in enumerate(units) if count)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])


def without_places(text: str, hosts: Iterable[str] = ()) -> str:
    """A text without the names of folders, and of these hosts; a file keeps its own name."""

    def short(match: re.Match[str]) -> str:
        return file_name(match["quoted"] or match["bare"])

    text = _PATH.sub(short, text)
    for host in filter(None, hosts):
        text = re.sub(rf"(?<!\w){re.escape(host)}(?!\w)", "…", text)
    return text


def file_name(path: str) -> str:
    """The last part of a path if it is the name of a file, else dots: a folder may tell who somebody is."""
    last = re.split(r"[\\/]", path)[-1]
    return last if re.fullmatch(r"[\w.+-]*\.[A-Za-z]\w{0,5}", last) else "…"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], has_numbers: bool = False) -> str:
    """A table, its numbers on the right.

    Parameters
    ----------
    has_numbers : all columns but the first stand on the right, also where numbers are texts
    """
    rows = list(rows)
    columns = range(len(head))
    is_right = [(has_numbers and column > 0) or any(_is_number(row[column]) for row in rows) for column in columns]
    lines = [_row("th", [esc(title) for title in head], is_right)]
    for row in rows:
        lines.append(_row("td", [number(cell) if _is_number(cell) else esc(cell) for cell in row], is_right))
    body = "".join(lines[1:])
    return f'<div class="scroll"><table><thead>{lines[0]}</thead><tbody>{body}</tbody></table></div>\n'


def section(title: str, *parts: str) -> str:
    """A section of the page, or nothing if it would be empty."""
    content = "".join(parts)
    return f"<section>\n<h2>{esc(title)}</h2>\n{content}</section>\n" if content else ""


def grid(figures: Iterable[str], kind: str = "two") -> str:
    """Figures side by side where there is room."""
    found = [figure for figure in figures if figure]
    return f'<div class="grid {kind}">\n{"".join(found)}</div>\n' if found else ""


def paragraph(text: str, kind: str = "note") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{html.escape(text)}</p>\n'


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


def _row(kind: str, cells: Sequence[str], is_number: Sequence[bool]) -> str:
    classes = [' class="n"' if right else "" for right in is_number]
    inner = [f"<{kind}{each}>{cell}</{kind}>" for cell, each in zip(cells, classes, strict=True)]
    return f"<tr>{''.join(inner)}</tr>"


def words(name: str) -> str:
    """The name of a column for people."""
    return name.replace("_", " ")


def markdown(text: str) -> str:
    """Headings, tables and paragraphs of a Markdown text; anything else stays as it is written."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines()]
        heading = re.fullmatch(r"#{1,6} (.*)", lines[0])
        if heading and len(lines) == 1:
            parts.append(f"<h3>{esc(heading[1])}</h3>")
        elif len(lines) > 1 and all(line.startswith("|") for line in lines):
            cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            width = len(cells[0])
            parts.append(table(cells[0], [(row + [""] * width)[:width] for row in cells[2:]], has_numbers=True))
        else:
            parts.append(paragraph(without_places(" ".join(lines)), ""))
    return "".join(parts)
