"""Whatever the hub says by itself stands in the catalogue, so that nobody is ever told it in English by accident."""

import pytest

from puente.bot import families, staff, updates
from puente.messaging import conversations, family, inbox, office_hours, reading, repair, rights, wording
from puente.printing import certificates
from puente.programs.conferences import afterwards, answering, calendars, chasing, confirming, reminding, saying, telling
from puente.programs.events import saying as event_sayings
from puente.programs.progress import drafts, rhythm
from puente.programs.progress.bank import BANK
from puente.web import bookings, forms
from tests.school import PHRASES

SAID = {
    conversations: ("STOPPED", "STOPPED_BUT_URGENT", "STARTED", "HELP", "UNREADABLE", "UNREADABLE_TEXT", "WHICH_FAMILY"),
    reading: ("WHICH", "ANOTHER", "THIS", "CHANGED", "STAYS"),
    family: ("COMES_HERE", "COMES_BY", "READ_BY", "NO_CHILD", "HERE", "THANKS"),
    office_hours: ("READS",),
    inbox: ("HANDED",),
    repair: ("STILL_YOURS", "BROKEN", "PLEASE", "GOT_IT"),
    rights: ("YOURS", "THEIRS"),
    wording: ("MACHINE_MADE", "HOW_TO_STOP", "WROTE_ABOUT", "WROTE", "CHANGED_ABOUT", "CHANGED", "AS_WRITTEN", "NOT_TRANSLATED",
              "URGENT_FROM", "CANNOT_SAY", "SAME_IN_ENGLISH"),
    families: ("WELCOME", "OLD_LINK", "NO_LINK", "SHARE", "SHARE_BUTTON", "NOT_FOUND", "NO_GROUPS"),
    staff: ("WHO", "WHOLE_SCHOOL", "NO_CLASS", "WHAT", "WRITE", "WAIT", "HEADING", "IMPOSSIBLE", "BACK", "CHECK", "PARTS",
            "UNREACHED", "WHEN", "NOT_A_TIME", "ON_ITS_WAY", "LATER", "THROWN_AWAY", "OLD_BUTTON", "NOTHING_WRITTEN", "ANSWERED"),
    drafts: ("OPENING", "LEVEL", "STEP", "CLOSING"),
    saying: ("MEET", "CHOOSE", "REPLY", "ALSO", "OTHER", "CANNOT", "TAKEN", "ALL_TIMES", "FREE_AGAIN", "NO_TIME", "NO_TIME_FOR",
             "KEEP", "NOT_AT_THAT_TIME", "LOOKING", "INTERPRETER", "NO_INTERPRETER", "DECLINE_INTERPRETER", "WANT_INTERPRETER",
             "SET", "WITH", "ROOM", "BY_PHONE", "BY_VIDEO", "MOVED", "CANCELLED", "NOT_THERE", "SORRY", "LATER", "PAGE"),
    answering: ("OLD_BUTTON",),
    reminding: ("REMINDER", "NUMBER", "VIDEO", "ASK"),
    chasing: ("RELEASED",),
    confirming: ("CONFIRMED", "THANKS", "HELLO", "CALLING", "WILL_YOU", "ANOTHER"),
    telling: ("LIST", "CHANGED", "NONE"),
    calendars: ("MEETING", "CANCELLED", "PHONE", "VIDEO", "INTERPRETER", "HOME_LANGUAGE", "NEEDS"),
    bookings: ("TITLE", "NO_TIME_YET", "NONE_FREE", "WAS", "OVER", "WHAT_ELSE", "NOTED", "IN_CALENDAR"),
    afterwards: ("THANKS", "NEXT", "MISSED", "ASK_AGAIN"),
    event_sayings: ("COME", "CANNOT", "BY", "PAGE", "SESSION", "PLACE", "ONLINE", "LOTS", "YES", "NO", "CHOOSE", "WRITE", "SKIP",
                    "NOT_CLEAR", "ON_THE_LIST", "NOT_YET", "YOUR_ANSWERS", "TAKE_BACK", "THANKS", "MIND", "OFF_THE_LIST",
                    "TOO_LATE", "YOUR_PLACE", "WAITLIST", "FREE", "REMINDER", "CHANGED", "CANCELLED", "I_WOULD", "I_CANNOT",
                    "TAKE_OFF", "MORE"),
    forms: ("ASK", "SEND", "GIVE_BACK", "UNTIL", "OPTIONAL", "MISSING", "SIGN_UP", "OVER", "IN_CALENDAR"),
    certificates: ("TITLE", "TOOK_PART", "SESSIONS"),
    rhythm: ("MISSING", "TURN_IN", "NOT_HEARD"),
}  # fmt: skip
LISTED = (
    *staff.KINDS.values(), *staff.COUNTS, *(phrase for _, phrase in (*staff.COMMANDS, *updates.COMMANDS)),
    *drafts.TRENDS.values(), *drafts.STEPS.values(), *(starter.sentence for starter in BANK),
    *reminding.PRESSED.values(), *telling.NEEDS, *bookings.BUTTONS.values(),
    "Send now", "Send later", "Change the text", "Throw away", "Report", "Yes.", "No.",
)  # fmt: skip


@pytest.mark.parametrize("module", SAID, ids=lambda module: module.__name__.removeprefix("puente."))
def test_every_sentence_of_the_hubs_own_is_in_the_catalogue(module: object) -> None:
    known = set(PHRASES.phrases())
    assert [name for name in SAID[module] if getattr(module, name) not in known] == []  # type: ignore[index]


def test_every_button_command_and_starter_is_in_the_catalogue() -> None:
    assert set(LISTED) <= set(PHRASES.phrases())
