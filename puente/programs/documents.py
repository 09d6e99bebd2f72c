"""What a school writes down in a file for us, read: a conference day, an event.

    bytes → Form.parse → values, each right by itself → what they say of each other → the model

A mistake is named by its place in the file: `sessions[1].end`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from puente.models import HubError
from puente.translations import languages

MOST_PROBLEMS = 20
MOMENT = "it reads like 2026-12-01T20:00, on the school's clock"


class WrongFile(HubError):
    """Something in the file is not right. Each mistake is named by its place."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - MOST_PROBLEMS
        super().__init__("\n".join(problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])))
        self.problems = problems


class Part(BaseModel):
    """Some of a file. A name that nobody knows is a mistake, not something to pass over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def tag(written: str) -> str:
    if (found := languages.canonical(written)) is None:
        raise ValueError("this is no language's code, such as en, es or zh-Hans")
    return languages.base(found)


def readable(written: str) -> str:
    if not written.strip():
        raise ValueError("it is empty")
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in written):
        raise ValueError("it has a character that nobody can see")
    return written.strip()


def _on_the_minute(written: time) -> time:
    if written.tzinfo or written.second or written.microsecond:
        raise ValueError("a time reads like 15:30, on the school's clock")
    return written


Clock = Annotated[time, AfterValidator(_on_the_minute)]
Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$"), AfterValidator(readable)]
Language = Annotated[str, Field(max_length=35), AfterValidator(tag)]

Document = TypeVar("Document", bound=Part)


@dataclass(frozen=True)
class Form(Generic[Document]):
    """How one kind of file is read. `contradictions` are the mistakes between values that are right by themselves.

    Raises `wrong`, which names every mistake.
    """

    name: str  # after "any": conference day
    model: type[Document]
    contradictions: Callable[[Document], Iterator[str]]
    wrong: type[WrongFile]
    largest: int  # in bytes

    def read(self, path: Path) -> Document:
        try:
            if path.stat().st_size > self.largest:
                raise self.wrong([f"{path.name} is larger than any {self.name}."])
            return self.parse(path.read_bytes())
        except OSError:
            raise self.wrong([f"{path.name} cannot be read."]) from None

    def parse(self, written: bytes) -> Document:
        try:
            found = json.loads(written.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise self.wrong(["The file is not in UTF-8."]) from None
        except json.JSONDecodeError as error:
            raise self.wrong([f"The file is no JSON: line {error.lineno}, column {error.colno}."]) from None
        except (RecursionError, ValueError):
            raise self.wrong([f"The file is no {self.name}: it is nested too deep, or a number in it is too long."]) from None
        return self.check(found)

    def check(self, found: Any) -> Document:
        """What is in a file, checked: first each value by itself, then what they say of each other."""
        try:
            document = self.model.model_validate_json(json.dumps(found), strict=True)
        except ValidationError as error:
            raise self.wrong(list(_named(error.errors()))) from None
        if problems := list(self.contradictions(document)):
            raise self.wrong(problems)
        return document

    def schema(self) -> str:
        """The JSON schema, as it is kept in docs/schemas/."""
        return json.dumps(self.model.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _named(errors: Sequence[Any]) -> Iterator[str]:
    """Each mistake with its place. Of a value that may be of two types, only what is wrong with the one that it resembles."""
    found = [(_place(one["loc"]), one) for one in errors]
    for place, one in found:
        others = [other for other, another in found if another is not one and other.startswith(place)]
        if not (others and one["type"] in ("string_type", "int_type")):
            yield f"{place}: {_sentence(one)}"


def _place(where: tuple[int | str, ...]) -> str:
    """As in the file: `sessions[1].end`. What pydantic adds for each of several types is left out."""
    written = ""
    for part in where:
        if isinstance(part, int):
            written += f"[{part}]"
        elif part.isidentifier() and part not in ("str", "int", "dict", "none"):
            written += f".{part}" if written else part
    return written or "The file"


def _sentence(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "it is missing."
        case "extra_forbidden":
            return "the file has no such part. Is it misspelt?"
        case "value_error":
            return f"{str(error['ctx']['error']).rstrip('.')}."
        case kind if kind.startswith("datetime"):
            return f"{MOMENT}."
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}."
