"""Whatever the hub says by itself stands in the catalogue, so that nobody is ever told it in English by accident."""

import pytest

from puente.bot import families, staff, updates
from puente.messaging import conversations, family, reading, repair, rights, wording
from puente.programs.progress import drafts, rhythm
from puente.programs.progress.bank import BANK
from tests.school import PHRASES

SAID = {
    conversations: ("STOPPED", "STOPPED_BUT_URGENT", "STARTED", "HELP", "UNREADABLE", "UNREADABLE_TEXT", "WHICH_FAMILY"),
    reading: ("WHICH", "ANOTHER", "THIS", "CHANGED", "STAYS"),
    family: ("COMES_HERE", "COMES_BY", "READ_BY", "NO_CHILD", "HERE", "THANKS"),
    repair: ("STILL_YOURS", "BROKEN", "PLEASE", "GOT_IT"),
    rights: ("YOURS", "THEIRS"),
    wording: ("MACHINE_MADE", "HOW_TO_STOP", "WROTE_ABOUT", "WROTE", "CHANGED_ABOUT", "CHANGED", "AS_WRITTEN", "NOT_TRANSLATED",
              "URGENT_FROM", "CANNOT_SAY", "SAME_IN_ENGLISH"),
    families: ("WELCOME", "OLD_LINK", "NO_LINK", "SHARE", "SHARE_BUTTON", "NOT_FOUND", "NO_GROUPS"),
    staff: ("WHO", "WHOLE_SCHOOL", "NO_CLASS", "WHAT", "WRITE", "WAIT", "HEADING", "IMPOSSIBLE", "BACK", "CHECK", "PARTS",
            "UNREACHED", "WHEN", "NOT_A_TIME", "ON_ITS_WAY", "LATER", "THROWN_AWAY", "OLD_BUTTON", "NOTHING_WRITTEN", "ANSWERED"),
    drafts: ("OPENING", "LEVEL", "STEP", "CLOSING"),
    rhythm: ("MISSING", "TURN_IN", "NOT_HEARD"),
}  # fmt: skip
LISTED = (
    *staff.KINDS.values(), *staff.COUNTS, *(phrase for _, phrase in (*staff.COMMANDS, *updates.COMMANDS)),
    *drafts.TRENDS.values(), *drafts.STEPS.values(), *(starter.sentence for starter in BANK),
    "Send now", "Send later", "Change the text", "Throw away", "Report", "Yes.", "No.",
)  # fmt: skip


@pytest.mark.parametrize("module", SAID, ids=lambda module: module.__name__.removeprefix("puente."))
def test_every_sentence_of_the_hubs_own_is_in_the_catalogue(module: object) -> None:
    known = set(PHRASES.phrases())
    assert [name for name in SAID[module] if getattr(module, name) not in known] == []  # type: ignore[index]


def test_every_button_command_and_starter_is_in_the_catalogue() -> None:
    assert set(LISTED) <= set(PHRASES.phrases())
