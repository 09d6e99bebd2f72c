"""The commands about accounts: who of the staff may sign in to the pages."""

from typing import Annotated

import typer
from sqlalchemy import select
from sqlmodel import col

from puente.app import Hub
from puente.cli.shell import AsJson, out, print_json, run, table_of
from puente.messaging import accounts, linking
from puente.models import Account, Person, PersonRole, Role, database

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
