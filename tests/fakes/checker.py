"""Reads an exported schedule and the day's file, and says everything that is wrong with it. It shares no code with Puente.

Dates and times are compared as text and minutes, the way a person with a pencil would.
"""

import csv
import io
from collections.abc import Iterator
from itertools import combinations
from typing import Any

Row = dict[str, str]


def conflicts(table: str, day: dict[str, Any]) -> list[str]:
    """Whatever is wrong, a line for each; nothing where all is well."""
    rows = list(csv.DictReader(io.StringIO(table)))
    booked = [row for row in rows if row["start"]]
    return [
        *_all_there(rows, day), *_two_places(booked, day), *_wrong_hours(booked, day), *_wrong_interpreter(booked, day),
        *_unaccounted(rows),
    ]  # fmt: skip


def _all_there(rows: list[Row], day: dict[str, Any]) -> Iterator[str]:
    wanted = sorted((one["student"], ";".join(sorted(one["guardians"])), one["teacher"]) for one in day["conferences"])
    found = sorted((row["student_id"], ";".join(sorted(row["guardian_ids"].split(";"))), row["teacher_id"]) for row in rows)
    if wanted != found:
        yield f"{len(wanted)} conferences were wanted, {len(found)} are listed, and they are not the same"


def _two_places(booked: list[Row], day: dict[str, Any]) -> Iterator[str]:
    travel = {(one["id"], other): way for one in day["sites"] for other, way in one.get("travel", {}).items()}
    busy: dict[str, list[Row]] = {}
    for row in booked:
        people = [f"guardian {one}" for one in row["guardian_ids"].split(";")]
        for who in [*people, f"student {row['student_id']}", f"teacher {row['teacher_id']}", f"room {row['room']}"]:
            busy.setdefault(who, []).append(row)
        if row["interpreter_id"]:
            busy.setdefault(f"interpreter {row['interpreter_id']}", []).append(row)
    for who, held in busy.items():
        for one, other in combinations([row for row in held if row["by"] == "room" or not who.startswith("room ")], 2):
            way = 0
            if who.startswith(("interpreter", "guardian", "student")) and one["site"] and other["site"]:
                way = max(travel.get((one["site"], other["site"]), 0), travel.get((other["site"], one["site"]), 0))
                if not who.startswith("interpreter") and one["room"] != other["room"]:
                    way = max(way, day.get("walking_minutes", 5))
            if (
                one["date"] == other["date"]
                and _minutes(one["start"]) < _minutes(other["end"]) + way
                and (_minutes(other["start"]) < _minutes(one["end"]) + way)
            ):
                yield f"{who} is in two places on {one['date']}: {one['start']} and {other['start']} (way {way})"


def _wrong_hours(booked: list[Row], day: dict[str, Any]) -> Iterator[str]:
    teachers = {one["id"]: one for one in day["teachers"]}
    rooms = {one["id"]: one for one in day["rooms"]}
    wishes = {(one["student"], ";".join(sorted(one["guardians"])), one["teacher"]): one for one in day["conferences"]}
    for row in booked:
        teacher = teachers[row["teacher_id"]]
        name = f"{row['conference']} at {row['date']} {row['start']}"
        if not any(_holds(hours, row) for hours in teacher["hours"]):
            yield f"{name}: the teacher is not there"
        if any(_meets(pause, row) for pause in [*teacher.get("breaks", []), *teacher.get("away", [])]):
            yield f"{name}: the teacher has a break"
        wish = wishes[row["student_id"], ";".join(sorted(row["guardian_ids"].split(";"))), row["teacher_id"]]
        if any(_meets(hours, row) for hours in wish.get("cannot", [])):
            yield f"{name}: the family cannot"
        if wish.get("can") and not any(_holds(hours, row) for hours in wish["can"]):
            yield f"{name}: it is not among the times that the family can"
        if "wheelchair" in row["needs"] and not rooms[row["room"]].get("wheelchair", True):
            yield f"{name}: no wheelchair gets into {row['room']}"


def _wrong_interpreter(booked: list[Row], day: dict[str, Any]) -> Iterator[str]:
    interpreters = {one["id"]: one for one in day["interpreters"]}
    for row in booked:
        name = f"{row['conference']} at {row['date']} {row['start']}"
        length = day["interpreted_minutes"] if row["interpreted_language"] else day["slot_minutes"]
        if _minutes(row["end"]) - _minutes(row["start"]) != length:
            yield f"{name}: it takes {_minutes(row['end']) - _minutes(row['start'])} minutes"
        if bool(row["interpreted_language"]) is not bool(row["interpreter_id"]):
            yield f"{name}: interpreted is {row['interpreted_language']!r}, by {row['interpreter_id']!r}"
        if row["interpreter_id"]:
            interpreter = interpreters[row["interpreter_id"]]
            if row["interpreted_language"] not in interpreter["languages"]:
                yield f"{name}: {row['interpreter_id']} does not speak {row['interpreted_language']}"
            if not any(_holds(hours, row) for hours in interpreter["hours"]):
                yield f"{name}: {row['interpreter_id']} is not there"


def _unaccounted(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if not row["start"] and not row["why_none"]:
            yield f"{row['conference']} has no time, and nobody says why"
        if row["start"] and row["state"] not in ("booked", "confirmed", "attended", "missed"):
            yield f"{row['conference']} has a time and is {row['state']}"


def _holds(hours: dict[str, str], row: Row) -> bool:
    return hours["date"] == row["date"] and hours["start"] <= row["start"] and row["end"] <= hours["end"]


def _meets(hours: dict[str, str], row: Row) -> bool:
    return hours["date"] == row["date"] and hours["start"] < row["end"] and row["start"] < hours["end"]


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
