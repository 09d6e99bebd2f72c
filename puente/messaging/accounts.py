"""Accounts: who of the staff may sign in, with a password or a link that works once, and where they are signed in.

    add → link or password → sign_in → SignIn (a cookie's digest) → find, at each request → sign_out, or its time is over

Nothing that is stored opens anything: passwords are argon2, and of cookies, links and tokens only the SHA-256 is kept.
"""

import asyncio
import functools
import hashlib
import re
import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.messaging import outbox
from puente.models import Account, HubError, Person, PersonRole, Role, SignIn, SignInAttempt, SignInLink
from puente.models.database import Sessions

HASHER = PasswordHasher()

SHORTEST_PASSWORD = 12  # characters; the longest is what argon2 should be asked to chew (NIST SP 800-63B asks for 64 at least)
LONGEST_PASSWORD = 200
IDLE = timedelta(hours=12)
AT_MOST = timedelta(days=7)
LINK_VALID_FOR = timedelta(minutes=30)
FIRST_LINK_VALID_FOR = timedelta(days=3)
# A cookie is looked at with each request, and written down again only so often.
SEEN_EVERY = timedelta(minutes=5)

# So many wrong passwords in a quarter of an hour, for one account and from one address: a school has one address for many.
WINDOW = timedelta(minutes=15)
TRIES_OF_ACCOUNT, TRIES_FROM_ADDRESS = 8, 60

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}")


class NotAnEmail(HubError):
    """This is not an e-mail address."""


class AlreadyThere(HubError):
    """Somebody has an account with this e-mail address, or this person has one already."""


class NoSuchAccount(HubError):
    """There is no account with this e-mail address."""


class NotStaff(HubError):
    """Accounts are for staff: give them a role first, with the roster or --role."""


class WeakPassword(HubError):
    """A password has 12 characters or more, and is not your e-mail address. Four words that do not belong together are good."""


class TooOften(HubError):
    """There were too many attempts. Please wait a quarter of an hour, or ask for a link."""


async def add(
    session: AsyncSession, person_id: int, email: str, at: datetime, *, school: str = "", interface: str = "en"
) -> Account:
    """Give a member of staff an account. It has no password yet: a link opens it for the first time."""
    email = _address(email)
    if not await roles_of(session, person_id):
        raise NotStaff(NotStaff.__doc__)
    taken = (col(Account.email) == email) | (col(Account.person_id) == person_id)
    if await session.scalar(select(col(Account.id)).where(taken).limit(1)):
        raise AlreadyThere(AlreadyThere.__doc__)
    account = Account(person_id=person_id, email=email, school=school, interface=interface, made_at=at)
    session.add(account)
    await session.flush()
    return account


async def roles_of(session: AsyncSession, person_id: int) -> frozenset[Role]:
    """What somebody does at the school; nothing for families."""
    roles = await session.scalars(
        select(col(PersonRole.role)).where(col(PersonRole.person_id) == person_id, col(PersonRole.role) != Role.guardian)
    )
    return frozenset(roles)


async def by_email(session: AsyncSession, email: str) -> Account:
    account = await session.scalar(select(Account).where(col(Account.email) == email.strip().lower()))
    if account is None:
        raise NoSuchAccount(NoSuchAccount.__doc__)
    return account


async def set_password(session: AsyncSession, account: Account, password: str) -> None:
    """Whoever changes it is signed out everywhere else by `end_all`."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD or password.strip().lower() == account.email:
        raise WeakPassword(WeakPassword.__doc__)
    account.password = await asyncio.to_thread(HASHER.hash, password)
    session.add(account)


async def is_password(account: Account, password: str) -> bool:
    return account.password is not None and await asyncio.to_thread(_is_right, account.password, password)


async def end(session: AsyncSession, account: Account, at: datetime) -> None:
    """Close an account: nothing of it opens anything any more. What they wrote stays theirs."""
    account.ended_at, account.password = at, None
    session.add(account)
    await end_all(session, account.id or 0, at)


async def sign_in(sessions: Sessions, email: str, password: str, address: str, browser: str, at: datetime) -> str | None:
    """With a password; the cookie that the browser keeps. None where it is wrong, or nobody has this address. Raises TooOften."""
    email = email.strip().lower()
    await _count_attempt(sessions, email, address, at)
    async with sessions() as session:
        account = await session.scalar(select(Account).where(col(Account.email) == email, col(Account.ended_at).is_(None)))
    known = account.password if account and account.password else _nobodys()
    right = await asyncio.to_thread(_is_right, known, password)
    if account is None or not account.password or not right:
        return None
    async with sessions.begin() as session:
        await session.execute(delete(SignInAttempt).where(col(SignInAttempt.who) == digest(email)))
        return await _open(session, account.id or 0, browser, at)


@functools.cache
def _nobodys() -> str:
    """Verified where nobody has the address, so that an answer takes as long as where somebody has."""
    return HASHER.hash(secrets.token_urlsafe(16))


async def make_link(session: AsyncSession, account: Account, at: datetime, valid_for: timedelta = LINK_VALID_FOR) -> str:
    """A token that signs in once."""
    token = secrets.token_urlsafe(24)
    session.add(SignInLink(digest=digest(token), account_id=account.id or 0, made_at=at, expires_at=at + valid_for))
    await session.flush()
    return token


async def may_ask(sessions: Sessions, email: str, address: str, at: datetime) -> Account | None:
    """The account that a link may be sent to. Raises TooOften."""
    email = email.strip().lower()
    await _count_attempt(sessions, email, address, at)
    async with sessions() as session:
        return await session.scalar(select(Account).where(col(Account.email) == email, col(Account.ended_at).is_(None)))


async def sign_in_with_link(session: AsyncSession, token: str, browser: str, at: datetime) -> str | None:
    """Use a link up; the cookie. None where it is unknown, used, too old, or its account has ended."""
    account_id = await session.scalar(
        update(SignInLink)
        .where(
            col(SignInLink.digest) == digest(token),
            col(SignInLink.used_at).is_(None),
            col(SignInLink.expires_at) > at,
            col(SignInLink.account_id).in_(select(col(Account.id)).where(col(Account.ended_at).is_(None))),
        )
        .values(used_at=at)
        .returning(col(SignInLink.account_id))
    )
    return None if account_id is None else await _open(session, account_id, browser, at)


async def find(session: AsyncSession, cookie: str, at: datetime) -> tuple[SignIn, Account, Person] | None:
    """Who asks, by the cookie that their browser sent."""
    row = (
        await session.execute(
            select(SignIn, Account, Person)
            .join(Account, col(Account.id) == col(SignIn.account_id))
            .join(Person, col(Person.id) == col(Account.person_id))
            .where(
                col(SignIn.digest) == digest(cookie),
                col(SignIn.ended_at).is_(None),
                col(SignIn.expires_at) > at,
                col(SignIn.seen_at) > at - IDLE,
                col(Account.ended_at).is_(None),
            )
        )
    ).first()
    return (row[0], row[1], row[2]) if row else None


async def note_seen(session: AsyncSession, signed_in: SignIn, at: datetime) -> None:
    await session.execute(update(SignIn).where(col(SignIn.digest) == signed_in.digest).values(seen_at=at))


async def open_sign_ins(session: AsyncSession, account_id: int, at: datetime) -> list[SignIn]:
    """Where somebody is signed in, the latest first."""
    rows = await session.scalars(
        select(SignIn)
        .where(
            col(SignIn.account_id) == account_id,
            col(SignIn.ended_at).is_(None),
            col(SignIn.expires_at) > at,
            col(SignIn.seen_at) > at - IDLE,
        )
        .order_by(col(SignIn.seen_at).desc())
    )
    return list(rows)


async def sign_out(session: AsyncSession, account_id: int, sign_in_digest: str, at: datetime) -> bool:
    """End one of somebody's own sign-ins."""
    done = await session.execute(
        update(SignIn)
        .where(col(SignIn.digest) == sign_in_digest, col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=at)
    )
    return bool(outbox.changed(done))


async def end_all(session: AsyncSession, account_id: int, at: datetime, *, but: str = "") -> None:
    """Sign somebody out everywhere, but where they are just now; links that were not used yet open nothing either."""
    theirs = (col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None), col(SignIn.digest) != but)
    await session.execute(update(SignIn).where(*theirs).values(ended_at=at))
    unused = (col(SignInLink.account_id) == account_id, col(SignInLink.used_at).is_(None))
    await session.execute(update(SignInLink).where(*unused).values(used_at=at))


async def forget_old(sessions: Sessions, at: datetime) -> None:
    """Tick: attempts, links and sign-ins that are long over."""
    async with sessions.begin() as session:
        await session.execute(delete(SignInAttempt).where(col(SignInAttempt.at) < at - WINDOW))
        await session.execute(delete(SignInLink).where(col(SignInLink.expires_at) < at - timedelta(days=30)))
        await session.execute(delete(SignIn).where(col(SignIn.expires_at) < at - timedelta(days=30)))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _open(session: AsyncSession, account_id: int, browser: str, at: datetime) -> str:
    cookie = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            digest=digest(cookie), account_id=account_id, form_key=secrets.token_urlsafe(24), browser=browser[:255], began_at=at,
            seen_at=at, expires_at=at + AT_MOST,
        )
    )  # fmt: skip
    await session.flush()
    return cookie


async def _count_attempt(sessions: Sessions, email: str, address: str, at: datetime) -> None:
    """Written down before they are counted: of many guesses at the same moment each sees those that came before it."""
    limits = ((digest(email), TRIES_OF_ACCOUNT), (digest(address), TRIES_FROM_ADDRESS))
    async with sessions.begin() as session:
        session.add_all(SignInAttempt(who=who, at=at) for who, _ in limits)
    async with sessions() as session:
        for who, most in limits:
            lately = (col(SignInAttempt.who) == who, col(SignInAttempt.at) > at - WINDOW)
            if (await session.scalar(select(func.count()).select_from(SignInAttempt).where(*lately)) or 0) > most:
                raise TooOften(TooOften.__doc__)


def _is_right(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False


def _address(email: str) -> str:
    email = email.strip().lower()
    if not EMAIL.fullmatch(email) or len(email) > 255:
        raise NotAnEmail(NotAnEmail.__doc__)
    return email
