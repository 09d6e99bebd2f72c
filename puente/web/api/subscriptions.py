"""Subscriptions: the district's own systems that are told when something happens (messaging/posting.py)."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import posting
from puente.models import Post, PostState, Subscription
from puente.web.api.gate import Office, OfficeWrites, check_all
from puente.web.api.problems import NotNow, NotThere
from puente.web.api.shapes import After, Given, Id, Page, Shown, Word, page
from puente.web.staff.desk import Desk

PAGE = 50


class SubscriptionIn(Given):
    url: Word = Field(max_length=2000, description="https, and a server outside of the school's own network.")
    events: list[Word] = Field(min_length=1, max_length=20, description=", ".join(posting.EVENTS))


class SubscriptionOut(Shown):
    id: int
    url: str
    events: list[str]
    made_at: datetime
    ended_at: datetime | None


class Subscribed(SubscriptionOut):
    """`secret` signs what is posted there. Nobody can show it again."""

    secret: str


class PostOut(Shown):
    """One event on its way. `error` is what the last attempt said."""

    id: int
    event: str
    state: PostState
    attempts: int
    error: str
    made_at: datetime
    due_at: datetime


def subscriptions_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/subscriptions", tags=["Subscriptions"])

    @router.get("")
    async def list_subscriptions(request: Request, reader: Office) -> list[SubscriptionOut]:
        """The systems that are told, the newest first."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions() as session:
            live = select(Subscription).where(col(Subscription.ended_at).is_(None)).order_by(col(Subscription.id).desc())
            return [SubscriptionOut.model_validate(one) for one in await session.scalars(live)]

    @router.post("", status_code=201)
    async def subscribe(request: Request, reader: OfficeWrites, given: SubscriptionIn) -> Subscribed:
        """Tell a system from now on."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            made = await posting.subscribe(
                session, reader.account_id, given.url, given.events, desk.now(), private=desk.post_to_private
            )
            return Subscribed.model_validate(made)

    @router.delete("/{subscription_id}", status_code=204, response_class=Response)
    async def end_subscription(request: Request, reader: OfficeWrites, subscription_id: Id) -> None:
        """Tell it nothing more, nor what waits."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        async with desk.sessions.begin() as session:
            await _found(session, subscription_id)
            if not await posting.end(session, subscription_id, desk.now()):
                raise NotNow(NotNow.__doc__)

    @router.get("/{subscription_id}/posts")
    async def list_posts(request: Request, reader: Office, subscription_id: Id, before: After = 0) -> Page[PostOut]:
        """What it was told lately, the newest first."""
        check_all(reader)
        desk: Desk = request.app.state.desk
        query = select(Post).where(col(Post.subscription_id) == subscription_id).order_by(col(Post.id).desc()).limit(PAGE + 1)
        async with desk.sessions() as session:
            await _found(session, subscription_id)
            found = list(await session.scalars(query.where(col(Post.id) < before) if before else query))
        return Page[PostOut].model_validate(page(found, [one.id or 0 for one in found], PAGE))

    return router


async def _found(session: AsyncSession, subscription_id: int) -> Subscription:
    found = await session.get(Subscription, subscription_id)
    if found is None:
        raise NotThere(NotThere.__doc__)
    return found
