"""Tokens: a program of the district's asks the API in somebody's name, with their roles and no more.

    make (shown once) → Authorization: Bearer → use: whose it is, whether it may change anything, how often it asked → end

Of a token only its SHA-256 is kept. It opens nothing once it was ended, has expired, or the account behind it is closed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.messaging.accounts import digest
from puente.models import Account, ApiToken, HubError

# What looks for secrets that were published by mistake finds ours by it.
BEGINS = "puente_"

A_MINUTE = timedelta(minutes=1)
CALLS_A_MINUTE = 120
VALID_FOR = timedelta(days=365)
MOST_DAYS = 3650
LONGEST_NAME = 80
MOST = 20  # of one account that are open at once


class NoName(HubError):
    """Give the token a name that says which program has it: at most 80 characters."""


class NotSoLong(HubError):
    """A token is valid for one day at least, and for 3,650 days at most."""


class TooMany(HubError):
    """You have 20 tokens that are open. End one that is not needed any more."""


@dataclass(frozen=True)
class Used:
    """A token that was just used. `wait` is for how many seconds it may not ask again; 0 where it may."""

    token: ApiToken
    wait: int


async def make(
    session: AsyncSession, account_id: int, name: str, at: datetime, *, read_only: bool = True, valid_for: timedelta = VALID_FOR
) -> str:
    """A new token; nobody can show it again. Raises NoName, NotSoLong, TooMany."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise NoName(NoName.__doc__)
    if not timedelta(days=1) <= valid_for <= timedelta(days=MOST_DAYS):
        raise NotSoLong(NotSoLong.__doc__)
    mine = select(func.count()).where(col(ApiToken.account_id) == account_id, *_is_open(at))
    if (await session.scalar(mine) or 0) >= MOST:
        raise TooMany(TooMany.__doc__)
    token = f"{BEGINS}{token_urlsafe(32)}"
    session.add(
        ApiToken(account_id=account_id, name=name, digest=digest(token), read_only=read_only, made_at=at, expires_at=at + valid_for)
    )
    await session.flush()
    return token


async def of_account(session: AsyncSession, account_id: int, at: datetime) -> list[ApiToken]:
    """Somebody's tokens that still open something, the newest first."""
    mine = select(ApiToken).where(col(ApiToken.account_id) == account_id, *_is_open(at))
    return list(await session.scalars(mine.order_by(col(ApiToken.id).desc())))


async def end(session: AsyncSession, account_id: int, token_id: int, at: datetime) -> bool:
    """End one of somebody's own tokens. Returns whether it was open."""
    mine = (col(ApiToken.id) == token_id, col(ApiToken.account_id) == account_id, col(ApiToken.ended_at).is_(None))
    return bool(outbox.changed(await session.execute(update(ApiToken).where(*mine).values(ended_at=at))))


async def use(session: AsyncSession, token: str, at: datetime) -> Used | None:
    """Whose token this is, counted as one more call; None where it opens nothing.

    One statement: of many calls at once, in however many processes, each is counted.
    """
    same_minute = and_(col(ApiToken.counted_from) > at - A_MINUTE, col(ApiToken.counted_from) <= at)
    row = await session.scalar(
        update(ApiToken)
        .where(
            col(ApiToken.digest) == digest(token),
            *_is_open(at),
            col(ApiToken.account_id).in_(select(col(Account.id)).where(col(Account.ended_at).is_(None))),
        )
        .values(
            calls=case((same_minute, col(ApiToken.calls) + 1), else_=1),
            counted_from=case((same_minute, col(ApiToken.counted_from)), else_=at),
            used_at=at,
        )
        .returning(ApiToken)
        .execution_options(synchronize_session=False)
    )
    if row is None:
        return None
    left = (row.counted_from or at) + A_MINUTE - at
    return Used(row, max(1, round(left.total_seconds())) if row.calls > CALLS_A_MINUTE else 0)


def _is_open(at: datetime) -> tuple:
    return col(ApiToken.ended_at).is_(None), or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > at)
