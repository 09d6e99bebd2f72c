"""The web side of an open hub: families' pages, the vendors' webhooks, the API, the staff's pages."""

from typing import TYPE_CHECKING

from fastapi import FastAPI

from puente.web.api import open_api
from puente.web.bookings import bookings_routes
from puente.web.forms import forms_routes
from puente.web.pages import pages_routes
from puente.web.site import open_site
from puente.web.staff import open_pages
from puente.web.staff.desk import Desk
from puente.web.webhooks import telegram_routes, twilio_routes

if TYPE_CHECKING:
    from puente.app import Hub


def site_of(hub: "Hub") -> FastAPI:
    sessions, school, settings, desk = hub.sessions, hub.school, hub.settings, desk_of(hub)
    routers = [
        pages_routes(sessions, school, hub.translator),
        bookings_routes(sessions, school, hub.translator, hub.now, hub.public_url),
        forms_routes(sessions, school, hub.translator, hub.now),
    ]
    if settings.twilio_auth_token:
        routers.append(
            twilio_routes(
                sessions, settings.twilio_auth_token.get_secret_value(), hub.public_url, hub.programs, hub.now,
                senders=hub.channels, urgent_sender=settings.urgent_sender, translator=hub.translator,
            )
        )  # fmt: skip
    if hub.listening:
        routers.append(telegram_routes(sessions, hub.telegram_secret, hub.now))
    return open_site(sessions, routers, hub.now, hub.metrics_token, {"/api": open_api(desk), "/": open_pages(desk)})


def desk_of(hub: "Hub") -> Desk:
    """What the staff's pages and the API stand on."""
    return Desk(
        hub.sessions, hub.school, hub.translator, hub.now, hub.paces, hub.public_url, hub.settings.segment_price,
        hub.mailer, hub.attendance_rules, hub.levels_file,
        invite=hub.listening.link if hub.listening else None, post_to_private=hub.settings.post_to_private,
    )  # fmt: skip
