"""Tasks: what waits for a person, and what came of it."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from puente.messaging import tasks
from puente.messaging.tasks import PAGE, Whose
from puente.models import TaskKind
from puente.translations.phrases import open_phrases
from puente.web.api import files
from puente.web.api.gate import Anyone, AnyoneWrites
from puente.web.api.problems import NotThere
from puente.web.api.shapes import After, Given, Id, Note, Page, Shown, page
from puente.web.staff.desk import Desk

Outcome = Literal["done", "reached", "no_answer"]


class TryOut(Shown):
    """What was tried, or how it ended; `by` is a person's id."""

    what: str
    at: datetime
    by: int
    note: str


class TaskOut(Shown):
    """`person` and `student` are whom it is about, `owner` whose turn it is, where that is one person."""

    id: int
    kind: TaskKind
    reason: str
    person: int | None
    name: str
    student: int | None
    message: int | None
    language: str | None
    owner: str
    best_way: str
    created_at: datetime
    done_at: datetime | None
    done_by: str
    tries: list[TryOut]


class OutcomeIn(Given):
    """`no_answer` is noted, and the task stays; the others end it."""

    outcome: Outcome = "done"
    note: Note = Field("", description="For colleagues to read.")


def tasks_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/tasks", tags=["Tasks"])

    @router.get("")
    async def list_tasks(
        request: Request, reader: Anyone, whose: Annotated[Whose, Query()] = "all", after: After = 0
    ) -> Page[TaskOut]:
        """What waits: mine, nobody's (`open`), all of both; or what is `done`. The oldest first, of what is done the latest."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = [_out(one) for one in await tasks.listed(session, reader, whose, after=after, most=PAGE + 1)]
        return Page[TaskOut].model_validate(page(found, [one.id for one in found], PAGE))

    @router.get("/{task_id}")
    async def read_task(request: Request, reader: Anyone, task_id: Id) -> TaskOut:
        """One task, open or done."""
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await tasks.opened(session, reader, task_id)
        if found is None:
            raise NotThere(NotThere.__doc__)
        return _out(found)

    @router.post("/{task_id}/done")
    async def finish_task(request: Request, reader: AnyoneWrites, task_id: Id, given: OutcomeIn) -> TaskOut:
        """Say what came of it."""
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            if await tasks.opened(session, reader, task_id) is None:
                raise NotThere(NotThere.__doc__)
            if given.outcome == tasks.NO_ANSWER:
                await tasks.note_try(session, task_id, given.outcome, desk.now(), reader.person_id, given.note)
            else:
                await tasks.finish(session, task_id, desk.now(), reader.person_id, given.outcome, given.note)
            found = await tasks.opened(session, reader, task_id)
        if found is None:
            raise NotThere(NotThere.__doc__)
        return _out(found)

    @router.get("/{task_id}/letter.pdf", response_class=Response, responses=files.answers("pdf"))
    async def print_letter(request: Request, reader: Anyone, task_id: Id) -> Response:
        """The letter that a task asks for: a page for each guardian who may be told, in their language."""
        # The libraries that print take a while to load, which no other call should wait for.
        from puente.printing import notices
        from puente.programs.attendance import letters

        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            found = await tasks.opened(session, reader, task_id)
            task = found and found.task
            told = task and await letters.of_task(session, reader, task, desk.today, desk.rules_in_force, desk.school)
        if told is None:
            raise NotThere(NotThere.__doc__)
        pdf = await asyncio.to_thread(notices.make_notices, told, open_phrases(), desk.now())
        return files.attached(pdf, "pdf", "letter")

    return router


def _out(found: tasks.Waiting) -> TaskOut:
    task = found.task
    return TaskOut(
        id=task.id or 0, kind=task.kind, reason=task.reason, person=task.person_id, name=found.person, student=task.student_id,
        message=task.message_id, language=task.language, owner=found.owner, best_way=found.best_way, created_at=task.created_at,
        done_at=task.done_at, done_by=found.done_by, tries=[TryOut.model_validate(one) for one in tasks.tries(task)],
    )  # fmt: skip
