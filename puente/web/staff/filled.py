"""Sentences that were filled in before a page could say them: what the machine lacks, what is wrong in a file, a log of attendance.

They are kept in English, as whoever wrote them down said them. A page in another language opens them again, and says them anew.
"""

import re
from functools import cache

from puente.translations import languages
from puente.translations.fields import FIELD


def _(phrase: str) -> str:
    """Marks a phrase of the pages that stands in Python, for tools/words.py to find."""
    return phrase


# In each list the first that fits is taken, so whatever leaves less open stands first.
MACHINE = (
    _("There is no language pack from {source} to {target} on this machine."),
    _("There is no language pack from {source} to {target} on this machine but the practice pack, which is not for families."),
    _("The language pack from {source} to {target} does not work on this machine. Install it again."),
)
# What is wrong in a row of a roster, of attendance or of marks.
ROWS = (
    _("the roster has no student with this student_id"),
    _("student_id is not in the roster"),
    _("level is not one of the school's: {levels}"),
    _("trend must be up, same or down"),
    _("this student and this standard are already on line {line}"),
    _("lineItemSourcedId is not in lineItems.csv, or not in a row that could be read"),
    _("code must be {codes}"),
    _("the year is not one from {first} to {last}"),
    _("givenName and familyName are missing"),
    _("givenName and familyName are longer than 255 characters together"),
    _('guardian_id begins with "{word}", which is kept for staff'),
    _("this student and this guardian are already together on line {line} of {file}"),
    _("this student and this guardian are already together on line {line}"),
    _("staff_id is already on line {line} of {file}"),
    _("staff_id is already on line {line}"),
    _("sourcedId is already on line {line}"),
    _("{column} on line {line} differs from line {earlier} of {file}, though {key} is the same"),
    _("{column} on line {line} differs from line {earlier}, though {key} is the same"),
    _("{column} is unknown: write its code, such as es, vi or zh-Hans"),
    _("{column} is unknown: write a name of the IANA database, such as America/Denver"),
    _("{column} must be records, logistics or none"),
    _("{column} must be teacher, office, interpreter, reviewer or admin, with ; between several"),
    _("{column} is not a phone number that can exist"),
    _("{column} was shortened by a spreadsheet: format the column as text and export again"),
    _("{column} is not a date like 2009-05-28"),
    _("{column} holds characters that turn the direction of the text"),
    _("{column} holds a line break or another control character"),
    _("{column} holds a name longer than 255 characters"),
    _("{column} is longer than {number} characters"),
    _("{column} looks like a spreadsheet formula"),
    _("{column} is missing"),
    _("a cell is far too long"),
    _("a quotation mark stands in the wrong place"),
    _("the row holds NUL characters"),
    _("the row has {number} cells and the header {wanted}"),
)
# What there is to look at in a file that can be taken.
NOTICES = (
    _("another code than on line {line}: the later line counts"),
    _("left out: no list of attendance"),
    _("left out: neither a roster nor a staff list"),
    _("no rows below the header"),
    _("{number} columns that Puente does not know were ignored"),
    _("no column {columns}: what is known of that stays as it is"),
    _("no number: will need a call"),
    _("no number: replies cannot be texted on"),
    _("mobile is also the number of the guardian on line {line} of {file}"),
    _("mobile is also the number of the guardian on line {line}"),
    _("endDate is not a date like 2027-05-28, so it is ignored"),
    _("no users who are here now"),
    _("userSourcedId is not in users.csv, or not in a row that could be read"),
    _("agentSourcedIds names somebody who is not in users.csv, or not in a row that could be read"),
    _("no classes.csv with enrollments.csv: groups stay as they are"),
    _("no language given: English, unless another is known already"),
    _("a guardian of no student in these files"),
    _("{number} results have a number and no level, and say nothing of a level"),
    _("Rights that the file would give back, kept as they are because a note says why: {number}"),
    _("Guardians no longer beside their student in the file, left so (rights none would end it): {number}"),
    _("Numbers replaced; the former ones are kept and no longer used: {number}"),
    _("Numbers no longer in the file; they are kept and no longer used: {number}"),
    _("New contacts whose number was stopped before; they stay stopped: {number}"),
    _("Students known before but missing from the file, left as they are: {number}"),
    _("Guardians known before but missing from the file, left as they are: {number}"),
)
# Why a whole file cannot be read.
FILES = (
    _("The school's region must be the two letters of a country, such as US: set PUENTE_SCHOOL_REGION."),
    _("roles.csv is missing: without it nobody knows who is a student and who a guardian."),
    _("lineItems.csv is missing: without it nobody knows what a result is about."),
    _("{file} holds no roster: no CSV list of families or staff, and no users.csv of OneRoster."),
    _("{file} holds no CSV list with the columns {columns}."),
    _("{file} has no column {column}, which OneRoster asks for."),
    _("{file} has no column {column}. The first line must name: {columns}, and may name {more}."),
    _("{file} has no column {column}. The first line must name: {columns}."),
    _("{file} has two columns with the same name: columns {number} and {other}."),
    _("{file}, line {line}: a quotation mark is opened and never closed. Close it, then try again."),
    _(
        '{file}, line {line}: the text is not in UTF-8. In the spreadsheet choose "Save as" (or "Download") and the type '
        '"CSV UTF-8", then import that file.'
    ),
    _(
        '{file} is not a text file, or not a whole one. In the spreadsheet choose "Save as" (or "Download") and the type '
        '"CSV UTF-8", then import that file.'
    ),
    _(
        '{file} is a spreadsheet, not a CSV file. In the spreadsheet choose "Save as" (or "Download") and the type '
        '"CSV UTF-8", then import that file.'
    ),
    _(
        '{file} is a spreadsheet, not a zip of CSV files. In the spreadsheet choose "Save as" (or "Download") and the type '
        '"CSV UTF-8", then import that file.'
    ),
    _("{file}: the first line, which names the columns, cannot be read as CSV."),
    _("{file} is larger than {number} MB, too large for a roster."),
    _("{file} unpacks to more than {number} MB, too large for a roster."),
    _("{file} is damaged or incomplete. Download or copy the zip again."),
    _("{file} holds paths that lead out of it, so it is not read."),
    _("{file} is protected by a password. Make the zip again without one."),
    _("{file} is packed in an unusual way. Make the zip again with your computer's own tool."),
    _("{file} cannot be opened: {reason}."),
    _("There is no file or folder called {file}."),
    _("{file} is neither a file nor a folder."),
    _("{file} is empty."),
)
# What is wrong in a column, as a page or a file holds it. `fault` is one of these sentences itself.
COLUMNS = (
    _("{file}, line {line}: this is no TOML file in UTF-8."),
    _("{file}: this is no TOML file in UTF-8."),
    _("{file}.toml: {fault}"),
    _("a column has no {parts}."),
    _("the name must be one like winter-ice: letters a to z, digits and hyphens, at most 64."),
    _("the month must be a number from 1 to 12, or be left out for a column that does not go out."),
    _("the position must be a whole number."),
    _("the texts need one in the language of the column."),
    _("there must be a table like [texts.en] for each language."),
    _("a table of texts must be called by a language's code, such as en, es or zh-Hans, each once."),
    _("[texts.{table}] holds a title, a summary and a text, and draft = true where nobody has read it yet."),
    _("[texts.{table}] has no {part}."),
    _("[texts.{table}]: the {part} is longer than {number} characters."),
    _("[texts.{table}]: the {part} holds control characters."),
    _("[texts.{table}]: the {part} must hold the same fields as the one in {original}."),
    _("[texts.{table}]: the title holds no fields."),
    _("{field} is no field of a column: there are {known}."),
)
PARTS = (_("title"), _("summary"), _("text"))
# What is wrong at a place in the file of a conference day or an event.
DOCUMENTS = (
    _("The file is not in UTF-8."),
    _("The file is no JSON: line {line}, column {column}."),
    _("The file is no conference day: it is nested too deep, or a number in it is too long."),
    _("The file is no event: it is nested too deep, or a number in it is too long."),
    _("it is missing."),
    _("it is empty."),
    _("the file has no such part. Is it misspelt?"),
    _("this is no language's code, such as en, es or zh-Hans."),
    _("it has a character that nobody can see."),
    _("a time reads like 15:30, on the school's clock."),
    _("it reads like 2026-12-01T20:00, on the school's clock."),
    _("input should be a valid string."),
    _("input should be a valid integer."),
    _("input should be a valid boolean."),
    _("input should be a valid array."),
    _("input should be an object."),
    _("input should be {values}."),
    _("it has to be later than the start, on the same day."),
    _("their hours lie more than {number} days apart: make a file for each."),
    _("an interpreted conference takes at least as long as another."),
    _("another of the {list} has the same id."),
    _("name the room, or say that it is by phone or video."),
    _("none of the {list} has this id."),
    _("somebody is booked somewhere else at this time."),
    _("it is missing in the file's own language, {language}."),
    _("in {language} it is longer than {number} letters."),
    _("it has to be before the first session begins."),
    _("there are only {number} sessions."),
    _("another question has the same id."),
    _("a choice needs two of them at least."),
    _("only a choice has options."),
    _("without a cap everybody has a place, and nothing is selected."),
    _("name it in selection.by too, since the published file has to show it."),
    _("there is a share for the same group already."),
    _("it has more places than there are."),
    _("it has to be at least the minimum."),
    _("the rule is published, so it names no person: a group, a grade, a role or the school."),
)
# What a count of attendance has led to: lines of the log, and tasks. `count`, `before` and `now` are sentences of COUNTS.
ATTENDANCE = (
    _("Attendance was corrected. Before: {before}. Now: {now}. Tier: {from_tier} before, {tier} now."),
    _("Attendance was corrected. Before: {before}. Now: {now}."),
    _("Went up from {from_tier} to {tier}: {count}."),
    _("Came back from {from_tier} to {tier}: {count}."),
    _("Please call the family. {count}: {student}"),
    _("Print the notice, and hand it over or mail it. {count}: {student}"),
)
COUNTS = (
    _("{absent} of {enrolled} days missed, {classes} of {all} classes missed, {share} %"),
    _("{absent} of {enrolled} days missed, {classes} of {all} classes missed, no days yet"),
    _("{absent} of {enrolled} days missed, {share} %"),
    _("{absent} of {enrolled} days missed, no days yet"),
)
# What New Mexico's law calls its tiers.
TIERS = (_("whole-school"), _("individual-prevention"), _("early-intervention"), _("intensive-support"), _("none"))
SENTENCES = (*MACHINE, *ROWS, *NOTICES, *FILES, *COLUMNS, *DOCUMENTS, *ATTENDANCE, *COUNTS)
# What stands in a sentence and is a sentence, or the name of a tier or of a part, itself.
INNER = {"before", "now", "count", "from_tier", "tier", "fault", "part"}
TAGS = {name: tag.replace("_", "-") for tag, name in languages.ENGLISH.languages.items()}


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(sentence, re.compile(_pattern(sentence))) for sentence in SENTENCES]


def _pattern(sentence: str) -> str:
    parts = FIELD.split(sentence)
    return "".join(f"(?P<{part}>.+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))


def opened(said: str, language: str) -> tuple[str, dict[str, str]]:
    """A sentence as it was before somebody filled it in, and what stood in it; itself, where it is none of these."""
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(said):
            return sentence, {name: _named(name, value, language) for name, value in found.groupdict().items()}
    return said, {}


def _named(name: str, value: str, language: str) -> str:
    is_language = name in ("source", "target") and value in TAGS
    return languages.name_for(TAGS[value], language) if is_language else value
