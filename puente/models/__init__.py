"""The tables. Importing this package is importing every one of them, which Alembic relies on."""

from puente.models.base import HubError
from puente.models.deliveries import Delivery, HandsetText, Receipt, Sender, State, TelegramUpdate
from puente.models.messages import Grade, Kind, MadeBy, Message, MessageState, Rendering
from puente.models.pens import Pen, Step
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
from puente.models.programs import Closed, DayOff, Schedule
from puente.models.tasks import Task, TaskKind
from puente.models.words import Memory, Term, WordsVersion

__all__ = [
    "Closed",
    "ConsentEntry",
    "Contact",
    "DayOff",
    "Delivery",
    "Grade",
    "Group",
    "GroupStaff",
    "Guardianship",
    "HandsetText",
    "HubError",
    "Kind",
    "LinkToken",
    "MadeBy",
    "Membership",
    "Memory",
    "Message",
    "MessageState",
    "Pen",
    "Person",
    "PersonRole",
    "Receipt",
    "Rendering",
    "Rights",
    "Role",
    "Schedule",
    "Sender",
    "State",
    "Step",
    "Student",
    "Task",
    "TaskKind",
    "TelegramUpdate",
    "Term",
    "WordsVersion",
]
