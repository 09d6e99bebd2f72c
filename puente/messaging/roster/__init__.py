"""The roster: students, their guardians and the staff come in here, before anybody writes.

read    tables (rows of cells) → cells (one value) → rows (a school) → files, oneroster (which columns mean what)
enrol   the school that was read goes into the database
"""

from puente.messaging.roster.enrol import Changes, Count, KnownContact, contact_steps, enrol
from puente.messaging.roster.files import Roster, UnreadableRoster, read

__all__ = ["Changes", "Count", "KnownContact", "Roster", "UnreadableRoster", "contact_steps", "enrol", "read"]
