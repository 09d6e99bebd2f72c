"""The tables. Importing this package is importing every one of them, which Alembic relies on."""

from puente.models.attendance import AttendanceCode, AttendanceMark, Outreach, OutreachKind, SchoolDay, Standing
from puente.models.base import HubError
from puente.models.conferences import ConferenceClaim, ConferenceDay, ConferenceGuardian, ConferenceMeeting, MeetingState
from puente.models.deliveries import Delivery, HandsetText, Receipt, Sender, State, TelegramUpdate
from puente.models.library import ColumnApproval, PageLink, Resource, SchoolColumn
from puente.models.marks import Assignment, Mark, Trend
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
    "Assignment",
    "AttendanceCode",
    "AttendanceMark",
    "Closed",
    "ColumnApproval",
    "ConferenceClaim",
    "ConferenceDay",
    "ConferenceGuardian",
    "ConferenceMeeting",
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
    "Mark",
    "MeetingState",
    "Membership",
    "Memory",
    "Message",
    "MessageState",
    "Outreach",
    "OutreachKind",
    "PageLink",
    "Pen",
    "Person",
    "PersonRole",
    "Receipt",
    "Rendering",
    "Resource",
    "Rights",
    "Role",
    "Schedule",
    "SchoolColumn",
    "SchoolDay",
    "Sender",
    "Standing",
    "State",
    "Step",
    "Student",
    "Task",
    "TaskKind",
    "TelegramUpdate",
    "Term",
    "Trend",
    "WordsVersion",
]
