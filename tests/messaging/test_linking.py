"""Joining a chat to a person: once, in time, and from then on their first choice."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import col

from puente.messaging import linking
from puente.messaging.linking import VALID_FOR, NoSuchPerson
from puente.models import ConsentEntry, Contact, State
from puente.models.database import Sessions
from tests.school import Hub, open_hub, rows


@pytest.fixture
async def hub(sessions: Sessions, tmp_path: Path) -> Hub:
    return await open_hub(sessions, tmp_path)


async def invite(hub: Hub, person: str) -> str:
    async with hub.sessions.begin() as session:
        return await linking.invite(session, hub.numbers.person[person], hub.at)


async def link(hub: Hub, token: str, chat: str = "9001") -> Contact | None:
    async with hub.sessions.begin() as session:
        return await linking.link(session, token, "telegram", chat, hub.at)


async def test_a_link_makes_the_chat_the_first_choice_and_is_entered_in_the_ledger(hub: Hub) -> None:
    contact = await link(hub, await invite(hub, "carol"))
    assert contact
    assert (contact.person_id, contact.verified_at, contact.source) == (hub.numbers.person["carol"], hub.at, "link")
    message_id = await hub.send("All students are safe.", "guardian:carol")
    assert [(d.channel, d.state) for d in await hub.deliveries(message_id)] == [("telegram", State.delivered)]
    (line,) = await rows(hub.sessions, ConsentEntry)
    assert (line.contact_id, line.change, line.by) == (contact.id, "granted", "link")


async def test_a_link_works_once_even_when_two_open_it_together(hub: Hub) -> None:
    token = await invite(hub, "carol")
    both = await asyncio.gather(link(hub, token, "9001"), link(hub, token, "9002"))
    assert [contact is None for contact in both].count(True) == 1
    assert await link(hub, token, "9003") is None


async def test_a_link_that_is_too_old_or_unknown_joins_nobody(hub: Hub) -> None:
    token = await invite(hub, "carol")
    hub.wait(seconds=VALID_FOR.total_seconds())
    assert await link(hub, token) is None
    assert await link(hub, "") is None
    assert await link(hub, "x" * 64) is None
    assert await link(hub, await invite(hub, "carol")) is not None


async def test_linking_a_chat_again_mends_it_and_prefers_it(hub: Hub) -> None:
    await hub.mark("ana", "telegram", stopped_at=hub.at, bad_at=hub.at)
    await link(hub, await invite(hub, "ana"), "7001")
    contact = await hub.contact("ana", "telegram")
    assert (contact.stopped_at, contact.bad_at) == (None, None)
    assert contact.position < (await hub.contact("ana", "sms")).position
    assert len(await rows(hub.sessions, Contact, col(Contact.person_id) == hub.numbers.person["ana"])) == 2


async def test_a_person_is_found_by_the_rosters_id_whoever_they_are(hub: Hub) -> None:
    async with hub.sessions() as session:
        assert (await linking.find_person(session, "ana")).name == "Ana Reyes"
        assert (await linking.find_person(session, "rivera")).name == "Ms Rivera"
        with pytest.raises(NoSuchPerson, match="nobody with this id"):
            await linking.find_person(session, "nobody")


async def test_a_token_says_nothing_about_a_family_and_fits_a_deep_link(hub: Hub) -> None:
    tokens = {await invite(hub, "carol") for _ in range(5)}
    assert len(tokens) == 5
    for token in tokens:
        assert len(token) <= 64
        assert token.replace("-", "").replace("_", "").isalnum()
