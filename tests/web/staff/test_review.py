"""Review and glossary: read side by side, corrected, approved by a name, remembered; and no child's name on the page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col

from puente.messaging import reviewing
from puente.models import Kind, MadeBy, Memory, Rendering, State, Task, Term
from puente.models.database import Sessions
from puente.translations import glossary
from tests.fakes import on_sqlite
from tests.school import PHRASES, Hub, rows
from tests.web.staff.office import Office, open_office

TEXT = "{child} may need a plan. Please call the office."
SPANISH = ["Es posible que {child} necesite un plan.", "Por favor, llame a la oficina."]


@pytest.fixture
async def office(sessions: Sessions) -> Office:
    return await open_office(sessions)


def hub(office: Office) -> Hub:
    return Hub(office.sessions, office.translator, office.numbers, at=office.at)


async def notice(office: Office, text: str = TEXT, to: str = "guardian:ana", **more: object) -> str:
    """A notice that waits for a reviewer; the path of its review in Spanish."""
    message_id = await hub(office).send(text, to, **{"kind": Kind.notice, "author": "office", **more})  # type: ignore[arg-type]
    return f"/review/{message_id}/es"


@on_sqlite
async def test_a_translation_is_given_sentence_by_sentence_sent_and_remembered(office: Office) -> None:
    path = await notice(office)
    browser = await office.signed_in("reviewer")
    queue = await browser.get("/review")
    assert f'href="{path}"' in queue.body
    page = await browser.get(path)
    assert len(page.all("textarea")) == 2
    assert "{child} may need a plan." in page.text
    assert "Please call the office." in page.text
    assert "Sofia" not in page.text + queue.text
    assert "Ana" not in page.text + queue.text
    lost = await browser.post(path, {"sentence": ["Es posible que necesite un plan.", SPANISH[1]]})
    assert (lost.status, "same fields" in lost.text, "Es posible que necesite un plan." in lost.body) == (400, True, True)
    empty = await browser.post(path, {"sentence": ["", ""]})
    assert empty.status == 400
    assert (await browser.post(path, {"sentence": ["only one"]})).status == 400
    assert (await browser.post(path, {"sentence": SPANISH})).place == "/review?said=approved"
    assert (await browser.post(path, {"sentence": ["Otra cosa de {child}.", "No."]})).place == f"{path}?said=answered_for"
    (rendering,) = await rows(office.sessions, Rendering, col(Rendering.language) == "es")
    assert (rendering.text, rendering.made_by, rendering.approved_by) == (
        " ".join(SPANISH), MadeBy.person, office.numbers.person["reviewer"],
    )  # fmt: skip
    (task,) = await rows(office.sessions, Task, col(Task.language) == "es")
    assert (task.done_at, task.done_by) == (office.at, office.numbers.person["reviewer"])
    pipe = hub(office)
    await pipe.tick()
    assert "Es posible que Sofia Reyes necesite un plan." in " ".join(pipe.sms.read_by("+15055550101"))
    remembered = {row.source: row.target for row in await rows(office.sessions, Memory)}
    assert remembered["Please call the office."] == SPANISH[1]
    after = await browser.get("/review")
    assert "Rosa Reviewer" in after.text
    assert "Rosa Reviewer has answered for it" in (await browser.get(path)).text
    again = await browser.get(await notice(office, "{child} might need a plan. See you tomorrow."))
    assert SPANISH[0] in again.text, "what is alike is offered"


@on_sqlite
async def test_what_the_catalogue_says_in_a_notice_is_approved_as_it_stands(office: Office) -> None:
    path = await notice(office, "School is closed today.")
    assert [one.state for one in await hub(office).deliveries()] == [State.held]
    browser = await office.signed_in("reviewer")
    page = await browser.get(path)
    said = PHRASES.say("School is closed today.", "es") or ""
    assert said in page.body
    assert (await browser.post(path, {"sentence": [said]})).place == "/review?said=approved"
    (rendering,) = await rows(office.sessions, Rendering, col(Rendering.language) == "es")
    assert (rendering.text, rendering.waits, rendering.approved_by) == (said, False, office.numbers.person["reviewer"])
    assert [one.state for one in await hub(office).deliveries()] == [State.queued]


@on_sqlite
async def test_who_may_review_what(office: Office) -> None:
    path = await notice(office)
    family = await notice(office, "A word between us.", kind=Kind.reply)
    south = await notice(office, "Please bring a coat.", "guardian:samira", author="admin")
    south = south.replace("/es", "/ar")
    for who in ("rivera", "boone", "helper"):
        browser = await office.signed_in(who)
        for place in ("/review", path, "/glossary", "/glossary/export.csv"):
            assert (await browser.get(place)).status == 403, (who, place)
        assert (await browser.post(path, {"sentence": SPANISH})).status == 403
    reviewer, desk, admin = [await office.signed_in(who) for who in ("reviewer", "office", "admin")]
    assert [(await reviewer.get(place)).status for place in (path, family, south)] == [200, 404, 200]
    assert [(await desk.get(place)).status for place in (path, family, south)] == [200, 200, 404]
    assert [(await admin.get(place)).status for place in (path, family, south)] == [200, 200, 200]
    assert (await desk.post(south, {"sentence": ["معطف"]})).status == 404
    assert (await reviewer.get("/review/1/xx")).status == 404
    assert (await reviewer.post(path, {"sentence": SPANISH}, form_key="")).status == 403
    assert "Arabic" in (await reviewer.get("/review")).text
    assert "Arabic" not in (await desk.get("/review")).text


@on_sqlite
async def test_a_reviewers_own_language_comes_first(office: Office) -> None:
    await notice(office, "Please bring a coat.", "guardian:elif")
    await notice(office)
    reviewer = await office.signed_in("reviewer")
    page = await reviewer.get("/review")
    assert page.text.index("Spanish") < page.text.index("Turkish")
    assert "may need a plan" in page.text
    assert "bring a coat" not in page.text
    assert "bring a coat" in (await reviewer.get("/review?language=tr")).text


@given(st.text("aZ .!?\n。¿{}", max_size=60), st.text("aZ .!?\n。ا", max_size=60))
def test_sentences_put_together_again_are_the_translation(text: str, translation: str) -> None:
    before, after, glue = reviewing.aligned(text, translation, "en", "es")
    assert len(before) == len(after) == len(glue) - 1
    if translation.strip():
        joined = "".join(part for pair in zip(glue, [*after, ""], strict=True) for part in pair)
        assert joined == translation


# The glossary


@on_sqlite
async def test_a_term_is_added_changed_looked_up_and_removed(office: Office) -> None:
    browser = await office.signed_in("reviewer")
    assert (await browser.get("/glossary")).status == 200
    assert (await browser.post("/glossary", to="es", term="homeroom", translation="salón principal")).status == 303
    assert (await browser.post("/glossary", to="es", term=" Homeroom ", translation="salón hogar", offer="yes")).status == 303
    (term,) = await rows(office.sessions, Term)
    assert (term.translation, term.enforced, term.added_by) == ("salón hogar", False, office.numbers.person["reviewer"])
    found = await browser.post("/glossary/search", to="es", query="HOGAR")
    assert "salón hogar" in found.text
    assert "None of them has this word." in (await browser.post("/glossary/search", to="es", query="100%_")).text
    bad = await browser.post("/glossary", to="es", term="", translation="algo")
    assert (bad.status, 'value="algo"' in bad.body) == (400, True)
    assert (await browser.post("/glossary", to="tlhh-x", term="a", translation="b")).status == 400
    assert (await browser.post("/glossary", to="en", term="a", translation="b")).status == 400
    assert (await browser.post(f"/glossary/{term.id}/remove")).place == "/glossary?said=term_removed&to=es"
    assert (await browser.post(f"/glossary/{term.id}/remove")).status == 303
    assert await rows(office.sessions, Term) == []


@on_sqlite
async def test_terms_travel_as_csv_and_tbx_and_a_bad_file_is_refused_in_words(office: Office) -> None:
    browser = await office.signed_in("office")
    csv = "term,translation\nhomeroom,salón principal\nbus stop,parada\n".encode()
    sent = await browser.post("/glossary/import", to="es", files={"file": ("terms.csv", csv)})
    assert sent.place == "/glossary?said=terms_read&to=es"
    for kind in ("csv", "tbx"):
        kept = await browser.get(f"/glossary/export.{kind}?to=es")
        assert kept.status == 200
        assert "salón principal" in kept.content.decode()
        sent = await browser.post("/glossary/import", to="es", files={"file": (f"terms.{kind}", kept.content)})
        assert sent.status == 303
    assert len(await rows(office.sessions, Term)) == 2
    for name, content in (("a.csv", b"\xff\xfe\x00"), ("a.tbx", b"<nothing"), ("a.exe", b"MZ"), ("a.csv", b"term\nonly\n")):
        answer = await browser.post("/glossary/import", to="es", files={"file": (name, content)})
        assert answer.status == 400, name
        assert 'class="error"' in answer.body
    assert (await browser.post("/glossary/import", to="es")).status == 400
    assert (await browser.get("/glossary/export.exe")).status == 404


@on_sqlite
async def test_the_glossary_is_paged_by_the_alphabet(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glossary, "PAGE", 2)
    browser = await office.signed_in("office")
    for word in ("cherry", "apple", "banana"):
        await browser.post("/glossary", to="so", term=word, translation=f"so {word}")
    first = await browser.get("/glossary?to=so")
    assert ("so apple" in first.text, "so banana" in first.text, "so cherry" in first.text) == (True, True, False)
    after = next(str(one["href"]) for one in first.all("a") if "after=" in str(one["href"]))
    assert "so cherry" in (await browser.get(after)).text
