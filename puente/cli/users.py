"""The commands about accounts: who of the staff may sign in to the pages."""

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from puente.app import Hub
from puente.cli.shell import LARGEST_ID, AsJson, out, print_json, run, table_of
from puente.messaging import accounts, linking, tokens
from puente.models import Account, HubError, Person, PersonRole, Role, database

users_app = typer.Typer(no_args_is_help=True, help="Accounts: who of the staff may sign in to the pages.")

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address of the account.")]


@users_app.command("add")
def add(
    email: EmailArgument,
    staff: Annotated[str, typer.Option("--staff", help="Who it is: the staff id in the roster, or a new one with --name.")],
    name: Annotated[str | None, typer.Option(help="For somebody who is not in the roster.")] = None,
    role: Annotated[
        list[Role] | None, typer.Option(help="A role to give them: teacher, office, reviewer, interpreter, admin.")
    ] = None,
    school: Annotated[str, typer.Option(help="The school that they see; without it, all that this hub serves.")] = "",
    language: Annotated[str, typer.Option(help="What they write in.")] = "en",
) -> None:
    """Give a member of staff an account. Prints a link that signs them in once, within three days."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            if name:
                session.add(Person(external_id=f"staff:{staff}", name=name, language=language))
                await session.flush()
            person = await linking.find_person(session, f"staff:{staff}")
            for one in role or ():
                await database.add_once(session, PersonRole(person_id=person.id or 0, role=one))
            account = await accounts.add(session, person.id or 0, email, hub.now(), school=school)
            token = await accounts.make_link(session, account, hub.now(), accounts.FIRST_LINK_VALID_FOR)
        out.print(f"{hub.public_url or 'http://localhost:8000'}/sign-in/{token}")

    run(command)


@users_app.command("link")
def link(email: EmailArgument) -> None:
    """Print a link that signs somebody in once, within half an hour: for a password that was forgotten."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            account = await accounts.by_email(session, email)
            token = await accounts.make_link(session, account, hub.now())
        out.print(f"{hub.public_url or 'http://localhost:8000'}/sign-in/{token}")

    run(command)


@users_app.command("end")
def end(email: EmailArgument) -> None:
    """Close an account, and sign it out everywhere."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            await accounts.end(session, await accounts.by_email(session, email), hub.now())

    run(command)


@users_app.command("token")
def token(
    email: EmailArgument,
    name: Annotated[str, typer.Option("--name", help="Which program it is for.")],
    write: Annotated[bool, typer.Option("--write", help="It may change things too, and not only read.")] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=tokens.MOST_DAYS, help="For how many days it is valid.")] = 365,
) -> None:
    """Make a token, with which a program asks the API in somebody's name. It is printed once: docs/api.md shows how to use it."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            account = await _open_account(session, email)
            made = await tokens.make(session, account.id or 0, name, hub.now(), read_only=not write, valid_for=timedelta(days=days))
        print(made)

    run(command)


@users_app.command("tokens")
def tokens_(
    email: EmailArgument,
    end: Annotated[
        int | None,
        typer.Option("--end", min=1, max=LARGEST_ID, help="End the token of this number."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show somebody's tokens, never what opens anything; or end one of them."""

    async def command(hub: Hub) -> None:
        async with hub.sessions.begin() as session:
            account = await accounts.by_email(session, email)
            if end and not await tokens.end(session, account.id or 0, end, hub.now()):
                raise HubError("This account has no open token of this number.")
            mine = await tokens.of_account(session, account.id or 0, hub.now())
        rows = [one.model_dump(include={"id", "name", "read_only", "made_at", "used_at", "expires_at"}) for one in mine]
        if as_json:
            print_json(rows)
            return
        table = table_of("Number", "Name", "May", "Used", "Valid until")
        for one in mine:
            used = f"{one.used_at:%Y-%m-%d}" if one.used_at else "never"
            until = f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "for ever"
            table.add_row(str(one.id), one.name, "read" if one.read_only else "read and write", used, until)
        out.print(table)

    run(command)


@users_app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show who has an account, with their roles."""

    async def command(hub: Hub) -> None:
        async with hub.sessions() as session:
            found = (
                await session.execute(
                    select(Account, Person).join(Person, col(Person.id) == col(Account.person_id)).order_by(col(Account.email))
                )
            ).all()
            roles = {account.id: sorted(await accounts.roles_of(session, account.person_id)) for account, _ in found}
        rows = [
            {
                "email": account.email, "name": person.name, "roles": [role.value for role in roles[account.id]],
                "school": account.school, "ended": account.ended_at is not None,
            }
            for account, person in found
        ]  # fmt: skip
        if as_json:
            print_json(rows)
            return
        table = table_of("E-mail", "Name", "Roles", "School", "")
        for row in rows:
            table.add_row(
                row["email"], row["name"], ", ".join(row["roles"]), row["school"] or "all", "ended" if row["ended"] else ""
            )
        out.print(table)

    run(command)


async def _open_account(session: AsyncSession, email: str) -> Account:
    account = await accounts.by_email(session, email)
    if account.ended_at:
        raise HubError("This account is closed.")
    return account
