"""What every table that a school opens in a spreadsheet has in common."""

import csv
import io
from collections.abc import Iterable

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(cell: str) -> str:
    """A cell as text: what a spreadsheet would take for a formula has a ' before it."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def written(rows: Iterable[Iterable[object]]) -> str:
    """Rows as lines of CSV; what is None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
