"""The tables. Importing this package is importing every one of them, which Alembic relies on."""

from puente.models.base import HubError
from puente.models.deliveries import Delivery, HandsetText, Receipt, State, TelegramUpdate
from puente.models.messages import Kind, MadeBy, Message, MessageState, Rendering
from puente.models.people import (
    ConsentEntry,
    Contact,
    Group,
    GroupStaff,
    Guardianship,
    LinkToken,
    Membership,
    Person,
    PersonRole,
    Rights,
    Role,
    Student,
)
from puente.models.programs import Schedule
from puente.models.tasks import Task, TaskKind

__all__ = [
    "ConsentEntry",
    "Contact",
    "Delivery",
    "Group",
    "GroupStaff",
    "Guardianship",
    "HandsetText",
    "HubError",
    "Kind",
    "LinkToken",
    "MadeBy",
    "Membership",
    "Message",
    "MessageState",
    "Person",
    "PersonRole",
    "Receipt",
    "Rendering",
    "Rights",
    "Role",
    "Schedule",
    "State",
    "Student",
    "Task",
    "TaskKind",
    "TelegramUpdate",
]
