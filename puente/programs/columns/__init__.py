"""Safety columns: short texts, one a month, each prepared by people in the languages that the school reads.

    texts     a column in its languages, read from the library or a school's file
    shelf     the columns as they stand now: the library's, the school's own, and what a speaker has approved
    values    what stands in their fields; never a hole
    sending   a schedule for each month's column, the message that it writes, and the link to the page
    drought   a word to their author when next month's lacks something

A column is a schedule of the pipe with its texts; when it fires, it writes a message like any other.
"""

from puente.programs.columns.drought import warn_of_drought
from puente.programs.columns.sending import link, opened, plan, planned, preparing
from puente.programs.columns.shelf import (
    Changed,
    NoSuchColumn,
    NotTwice,
    NotWritten,
    add,
    approvals,
    approve,
    columns,
    find,
    keep,
    named,
    remove,
    rewrite,
    unwritten,
)
from puente.programs.columns.texts import PHONES, BadColumn, Column, Text, going_out, in_order, library, own, read_file
from puente.programs.columns.values import MOST_SEGMENTS, NothingToSay, known, missing, phones, segments

__all__ = [
    "MOST_SEGMENTS",
    "PHONES",
    "BadColumn",
    "Changed",
    "Column",
    "NoSuchColumn",
    "NotTwice",
    "NotWritten",
    "NothingToSay",
    "Text",
    "add",
    "approvals",
    "approve",
    "columns",
    "find",
    "going_out",
    "in_order",
    "keep",
    "known",
    "library",
    "link",
    "missing",
    "named",
    "opened",
    "own",
    "phones",
    "plan",
    "planned",
    "preparing",
    "read_file",
    "remove",
    "rewrite",
    "segments",
    "unwritten",
    "warn_of_drought",
]  # fmt: skip
