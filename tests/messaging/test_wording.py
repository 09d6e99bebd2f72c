"""What a delivery says: in full where the channel has the room and somebody has written it in full, and else in short."""

from dataclasses import replace
from pathlib import Path

import pytest

from puente.messaging import wording
from puente.models import Delivery, Kind
from puente.models.database import Sessions
from tests.school import SCHOOL, Hub, open_hub, rows

BAO, CAROL = "7002", "+15055550103"
SHORT = {"vi": "Ngắn: {clock}."}
FIELDS = {"clock": {"time": "15:30"}, "whole": {"en": "Long: {clock}.", "vi": "Dài: {clock}. {school}."}}


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def test_telegram_reads_the_whole_and_an_sms_the_short(hub: Hub) -> None:
    await hub.send("Short: {clock}.", "student:linh", fields=FIELDS, renderings=SHORT)
    assert hub.telegram.read_by(BAO)[0].splitlines()[0] == "Dài: 15:30. Rio Grande School."
    assert hub.sms.read_by(CAROL)[0].splitlines()[0] == "Short: 3:30 PM."


async def test_what_is_not_whole_in_the_readers_language_is_read_in_short(hub: Hub) -> None:
    only_english = {**FIELDS, "whole": {"en": "Long: {clock}."}}
    await hub.send("Short: {clock}.", "student:linh", fields=only_english, renderings=SHORT)
    assert hub.telegram.read_by(BAO)[0].splitlines()[0] == "Ngắn: 15:30."


async def test_a_digest_says_it_in_short(hub: Hub) -> None:
    await hub.write("Short: {clock}.", "student:linh", kind=Kind.safety, fields=FIELDS, renderings=SHORT)
    await hub.release()
    (saved,) = [row for row in await rows(hub.sessions, Delivery) if row.channel == "telegram"]
    async with hub.sessions() as session:
        (envelope,) = await wording.open_envelopes(session, [saved.id or 0])
    assert wording.said(envelope, SCHOOL, hub.translator) == "Ngắn: 15:30."
    assert wording.word(envelope, SCHOOL, hub.translator).startswith("Dài")
    assert wording.word(replace(envelope, channel="sms"), SCHOOL, hub.translator).startswith("Ngắn")
