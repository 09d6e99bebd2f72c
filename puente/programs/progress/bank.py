"""The starter bank: sentences about one child that people have translated, for a teacher to pick from.

An update says how a child is doing, one thing to work on and how the family can help (FACTS, trial 3).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Starter:
    """A sentence of the bank, by its number. One with `{subject}` needs a subject."""

    number: int
    topic: str
    sentence: str


_TOPICS = {
    "learning": (
        "{child} is working hard in {subject}.",
        "{child} has made progress in {subject}.",
        "{child} needs more practice in {subject}.",
        "{child} takes part in class and has good ideas.",
    ),
    "getting along": (
        "{child} is kind to others in class.",
        "{child} works well with others.",
        "{child} keeps trying when something is hard.",
    ),
    "one thing to work on": (
        "One thing to work on: reading at home for 20 minutes each day.",
        "One thing to work on: practicing math for 10 minutes each day.",
        "One thing to work on: turning in homework on time.",
        "One thing to work on: writing down each step in math.",
        "One thing to work on: asking for help when something is not clear.",
        "One thing to work on: coming to class on time.",
        "One thing to work on: staying calm when something is hard.",
    ),
    "how you can help": (
        "You can help: ask {child} to tell you about the book, in any language.",
        "You can help: look at the homework together each evening.",
        "You can help: ask {child} what was new at school today.",
        "You can help: find a quiet place and a fixed time for homework.",
        "You can help: make sure that {child} gets enough sleep.",
    ),
}
BANK = tuple(
    Starter(number, topic, sentence)
    for number, (topic, sentence) in enumerate(((topic, s) for topic, said in _TOPICS.items() for s in said), start=1)
)
