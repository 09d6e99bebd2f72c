"""Every failure that was published about a machine translator speaks up; ordinary translations stay quiet."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puente.translations.checks import problems

FAILURES = [
    ("School is closed today.", "   ", "es", "empty"),
    ("Bring {child} water.", "{child}.", "es", "empty"),
    ("See https://example.org/a now.", "https://example.org/a.", "es", "empty"),
    ("Please sign the form today.", "Please sign the form today.", "es", "left in English"),
    ("Reminder", "Reminder", "es", "left in English"),
    (
        "Welcome back. Please bring your own lunch and water on Friday.",
        "Bienvenidos. please bring your own lunch and water el viernes.",
        "es",
        "left in English",
    ),
    ("{child} was late.", "Llegó tarde.", "es", "{child} got lost"),
    ("{child} was late.", "{child} {child} llegó tarde.", "es", "{child} stands there more often"),
    ("{child} was late.", "{niño} llegó tarde.", "es", "{child} got lost"),
    ("Come to room 12 at 3:30.", "Venga al salón 21 a las 3:30.", "es", "numbers"),
    ("The fee is 3.50.", "La cuota es 350.", "es", "numbers"),
    ("The fee is 1,500 in all.", "La cuota es 1.50 en total.", "es", "numbers"),
    ("It costs $5 today.", "Cuesta €5 hoy.", "es", "sign"),
    ("5 students are here.", "El 5% de estudiantes está aquí.", "es", "sign"),
    ("Bring water.", "Traiga agua agua agua agua agua agua", "es", "over and over"),
    ("Bring water on Monday.", "Traiga agua el lunes traiga agua el lunes", "es", "over and over"),
    ("Bring water, please.", "请带水水水水水水水水", "zh-Hans", "over and over"),
    ("Bring water, please.", "请带来请带来请带来请带来请带来", "zh-Hans", "over and over"),
    ("Thank you for coming.", "Gracias por venir. (aplausos)", "es", "brackets"),
    ("Thank you for coming.", "谢谢光临。（掌声）", "zh-Hans", "brackets"),
    ("Thank you for coming.", "♪ Gracias por venir ♪", "es", "brackets"),
    ("Read https://example.org/a_b now.", "Lea https://example.org/a b ahora.", "es", "link"),
    ("Write to office@example.org now.", "Escriba a la oficina ahora.", "es", "e-mail"),
    ("Well done 🎉", "Bien hecho", "es", "emoji"),
    ("The school bus will come at the usual hour tomorrow.", "Sí.", "es", "shorter"),
    ("Yes.", "Sí, claro que vamos a estar ahí mañana con toda la familia y los abuelos también.", "es", "longer"),
    ("Please sign the form.", "Por favor firme el formulario.", "ar", "letters of Arabic"),
    ("Please sign the form.", "Пожалуйста, подпишите.", "vi", "letters of Vietnamese"),
    ("Please sign the form.", "Por favor ⁇ el formulario.", "es", "could not be read"),
    ("Do not bring nuts to class.", "Traiga nueces a la clase.", "es", "opposite"),
    ("{child} didn’t eat lunch.", "{child} almorzó.", "es", "opposite"),
    ("There is no school on Monday.", "Il y a école lundi.", "fr", "opposite"),
    ("Your child cannot ride the bus.", "Ваш ребёнок может ездить на автобусе.", "ru", "opposite"),
    ("We never share your number.", "我们分享您的号码。", "zh-Hans", "opposite"),
    ("Students may not leave.", "يمكن للطلاب المغادرة.", "ar", "opposite"),
    ("Do not worry.", "Xin hãy lo lắng.", "vi", "opposite"),
    ("Call Ms. Ruiz at 505-555-0142.", "Llame a la Sra. Calle al 505-555-0142.", "es", "a name"),
    ("Meet in 3B at 3:30 p.m.", "Reúnase en 3C a las 3:30 p.m.", "es", "a room"),
]


@pytest.mark.parametrize(("source", "target", "language", "word"), FAILURES)
def test_a_published_failure_speaks_up(source: str, target: str, language: str, word: str):
    found = problems(source, target, "en", language)
    assert any(word in problem for problem in found), found


@pytest.mark.parametrize(
    ("source", "target", "language"),
    [
        ("School is closed today.", "La escuela está cerrada hoy.", "es"),
        ("OK", "OK", "es"),
        ("No, no, no, not today.", "No, no, no, hoy no.", "es"),
        ("{child} meets {teacher} at 3:30 in room 12.", "{teacher} se reúne con {child} a las 3:30 en el salón 12.", "es"),
        ("The fee is 1,500.50.", "La cuota es 1.500,50.", "es"),
        ("Bring 5 dollars and 50 cents by May 6.", "أحضر 5 دولارات و50 سنتا قبل 6 مايو.", "ar"),
        ("Bring 15 dollars.", "أحضر ١٥ دولارا.", "ar"),
        ("Please meet with Ana García.", "请与 Ana García 见面。", "zh-Hans"),
        ("Please sign the form and bring it back to school tomorrow.", "请签署表格，明天带回学校。", "zh-Hans"),
        ("Please sign the form (both pages).", "Por favor firme el formulario (las dos páginas).", "es"),
        ("Read https://example.org/a_b, please 🎉", "Por favor, lea https://example.org/a_b 🎉", "es"),
        (
            "Come to the Albuquerque Public Schools Family Night today.",
            "Venga hoy a la Albuquerque Public Schools Family Night.",
            "es",
        ),
        ("It is 100% free.", "Es 100 % gratis.", "es"),
        ("Please come no later than Friday.", "Venga a más tardar el viernes.", "es"),
        ("Don't forget your coat.", "Recuerde su abrigo.", "es"),
        ("There is no school today.", "Hôm nay không có lớp.", "vi"),
        ("You do not have to pay.", "您不必付费。", "zh-Hans"),
        ("Do not come today.", "오늘은 오지 마세요.", "ko"),
        ("Thank you.", "ขอบคุณ", "th"),
        ("Homework is due.", "የቤት ሥራ ዛሬ ነው።", "am"),
        ("Homework is due.", "गृहकार्य आज देना है।", "ne"),
        ("", "", "es"),
    ],
)
def test_a_good_translation_stays_quiet(source: str, target: str, language: str):
    assert problems(source, target, "en", language) == []


@pytest.mark.parametrize("language", ["ksw", "kar", "nonsense"])
def test_a_language_whose_script_nobody_is_sure_of_is_not_judged_by_it(language: str):
    assert problems("Thank you very much.", "တၢ်ဘျုးဒိၣ်မးလီၤ", "en", language) == []


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(["en", "es", "zh-Hans", "ar", "nonsense"]))
def test_whatever_comes_out_is_judged_in_sentences(source: str, target: str, language: str):
    found = problems(source, target, "en", language)
    assert all(problem.endswith(".") and problem[0].isupper() for problem in found)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["Bring", "water", "{child}", "at", "3:30", "🎉", "https://a.org/b", "("]), min_size=1).map(" ".join)
)
def test_losing_the_first_protected_thing_is_always_noticed(source: str):
    for thing in ("{child}", "3:30", "🎉", "https://a.org/b"):
        if thing in source:
            assert problems(source, source.replace(thing, "agua", 1), "en", "es")
