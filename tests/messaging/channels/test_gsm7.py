"""What a text costs: the table of 3GPP TS 23.038, and what holds for every text."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puente.messaging.channels import gsm7
from puente.messaging.channels.gsm7 import Parts

PLAIN = sorted(gsm7.BASIC)
DOUBLE = sorted(gsm7.EXTENDED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Parts("GSM-7", 0, 0)),
        ("a", Parts("GSM-7", 1, 1)),
        ("a" * 160, Parts("GSM-7", 160, 1)),
        ("a" * 161, Parts("GSM-7", 161, 2)),
        ("a" * 306, Parts("GSM-7", 306, 2)),
        ("a" * 307, Parts("GSM-7", 307, 3)),
        ("€" * 80, Parts("GSM-7", 160, 1)),
        ("€" * 80 + "a", Parts("GSM-7", 161, 2)),
        # 152 septets and a € that would lie across the border: the part stays one short.
        ("a" * 152 + "€" + "a" * 152, Parts("GSM-7", 306, 3)),
        ("a" * 151 + "€" + "a" * 153, Parts("GSM-7", 306, 2)),
        ("¿Qué día?", Parts("UCS-2", 9, 1)),
        ("El niño comió una piña", Parts("UCS-2", 22, 1)),
        ("El niño come piña, ¿qué más?"[:21], Parts("GSM-7", 21, 1)),
        ("ñ" * 160, Parts("GSM-7", 160, 1)),
        ("á" * 70, Parts("UCS-2", 70, 1)),
        ("á" * 71, Parts("UCS-2", 71, 2)),
        ("á" * 134, Parts("UCS-2", 134, 2)),
        ("á" * 135, Parts("UCS-2", 135, 3)),
        ("a" * 159 + "á", Parts("UCS-2", 160, 3)),
        ("🚌" * 35, Parts("UCS-2", 70, 1)),
        ("🚌" * 36, Parts("UCS-2", 72, 2)),
        # 66 units and a bus of two: the bus goes into the next part whole.
        ("á" * 66 + "🚌" + "á" * 66, Parts("UCS-2", 134, 3)),
        ("الحافلة متأخرة", Parts("UCS-2", 14, 1)),
        ("ç", Parts("UCS-2", 1, 1)),
        ("Ç", Parts("GSM-7", 1, 1)),
    ],
)
def test_a_text_is_counted_as_the_carrier_counts_it(text: str, expected: Parts) -> None:
    assert gsm7.count(text) == expected
    assert gsm7.parts(text) == expected.parts


def test_the_alphabet_is_the_standards_with_an_escape_for_the_rest() -> None:
    assert len(gsm7.BASIC) == 127
    assert not gsm7.BASIC & gsm7.EXTENDED
    assert set("éñüÉÑÜ¿¡àèìòùäöåøæßÇ") <= gsm7.BASIC
    assert not set("áíóúÁÍÓÚãõâêôğışİç") & (gsm7.BASIC | gsm7.EXTENDED)


@given(st.text(st.sampled_from(PLAIN)))
def test_plain_characters_cost_one_septet_each(text: str) -> None:
    assert gsm7.parts(text) == (min(len(text), 1) if len(text) <= 160 else ceil(len(text) / 153))


@given(st.text(st.sampled_from(PLAIN + DOUBLE), max_size=700))
def test_an_escaped_character_is_never_split(text: str) -> None:
    counted = gsm7.count(text)
    assert counted.units == len(text) + sum(character in gsm7.EXTENDED for character in text)
    # A part loses at most one septet to a character that would not fit into it.
    assert ceil(counted.units / 160) <= counted.parts <= max(1, ceil(counted.units / 152))


@given(st.text(max_size=400), st.sampled_from("áíçğш中ا🚌"))
def test_one_character_outside_the_alphabet_makes_it_ucs2(text: str, outside: str) -> None:
    counted = gsm7.count(text + outside)
    assert counted.encoding == "UCS-2"
    assert counted.units == len((text + outside).encode("utf-16-le", "surrogatepass")) // 2
    assert ceil(counted.units / 70) <= counted.parts <= max(1, ceil(counted.units / 66))


@given(st.text(max_size=400), st.text(max_size=5))
def test_a_longer_text_never_costs_less(text: str, more: str) -> None:
    assert gsm7.parts(text + more) >= gsm7.parts(text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("La reunión es mañana. " * 5, "La reunion es mañana. " * 5),  # two parts become one
        ("Reunión", "Reunión"),  # one part either way: the accent stays
        ("año, José, ¿qué?", "año, José, ¿qué?"),
        ("Reunión lúdica… “así” " * 5, 'Reunion ludica... "asi" ' * 5),
        ("Reunião às três " * 8, "Reunião às três " * 8),  # ã needs UCS-2 anyway
    ],
)
def test_accents_are_folded_only_where_that_saves_a_part(text: str, sent: str) -> None:
    assert gsm7.folded(text) == sent


@given(st.text(alphabet="aáeéíoóuúñ ü¿", max_size=400))
def test_folding_never_touches_e_or_n_and_never_costs_more(text: str) -> None:
    sent = gsm7.folded(text)
    assert [c for c in sent if c in "éñü¿"] == [c for c in text if c in "éñü¿"]
    assert gsm7.parts(sent) <= gsm7.parts(text)
