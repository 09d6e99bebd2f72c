"""A Telegram on loopback: the part of the Bot API that Puente uses, as strict as the real one and stricter about parameters.

async with FakeTelegram() as telegram:
    bot = open_bot(telegram.token, telegram.url)
    telegram.joins(7001, "Rosa")                  # a person who has pressed Start
    await telegram.says(7001, "hola")             # an update: queued for getUpdates, or posted to the webhook
    await telegram.press(7001, "confirm:1")       # a tap on a button of the last message that has one
    telegram.next(busy(3)); telegram.blocks(7001) # the failures
    telegram.sent                                 # the messages that arrived, oldest first
"""

import asyncio
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import ClientSession, web

from tests.fakes import Loopback

Converter = Callable[[str], Any]
LONGEST_TEXT = 4096
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
LONGEST_WAIT = 0.5  # seconds: a long poll is cut short, so that no test waits for it


class WrongError(Exception):
    """What Telegram answers instead of a result."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        self.answer = Answer(status, description, parameters)


@dataclass(frozen=True)
class Answer:
    """A failure to give. `hangs` and `drops` say that nothing comes back; `takes` that the message was sent all the same."""

    status: int = 500
    description: str = "Internal Server Error"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: str | None = None
    hangs: bool = False
    drops: bool = False
    takes: bool = False


def busy(seconds: int) -> Answer:
    return Answer(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


BROKEN = Answer(502, "Bad Gateway")
HANGS = Answer(hangs=True)
TAKES_AND_DROPS = Answer(drops=True, takes=True)


def _integer(value: str) -> int:
    if not re.fullmatch(r"-?\d{1,19}", value):
        raise ValueError("an integer is expected")
    return int(value)


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError("a boolean is expected")
    return value.lower() in ("true", "1")


def _list(value: str) -> list[Any]:
    found = json.loads(value)
    if not isinstance(found, list):
        raise ValueError("an array is expected")
    return found


def _object(value: str) -> dict[str, Any]:
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError("an object is expected")
    return found


_SENDING: dict[str, Converter] = {
    "text": str,
    "parse_mode": str,
    "entities": _list,
    "reply_markup": _object,
    "link_preview_options": _object,
}
PARAMETERS: dict[str, dict[str, Converter]] = {
    "getMe": {},
    "sendMessage": {
        **_SENDING,
        "chat_id": _integer,
        "disable_notification": _boolean,
        "protect_content": _boolean,
        "reply_parameters": _object,
    },
    "editMessageText": {**_SENDING, "chat_id": _integer, "message_id": _integer},
    "editMessageReplyMarkup": {"chat_id": _integer, "message_id": _integer, "reply_markup": _object},
    "answerCallbackQuery": {"callback_query_id": str, "text": str, "show_alert": _boolean, "cache_time": _integer},
    "leaveChat": {"chat_id": _integer},
    "sendChatAction": {"chat_id": _integer, "action": str},
    "getUpdates": {"offset": _integer, "limit": _integer, "timeout": _integer, "allowed_updates": _list},
    "setWebhook": {
        "url": str,
        "secret_token": str,
        "max_connections": _integer,
        "allowed_updates": _list,
        "drop_pending_updates": _boolean,
    },
    "deleteWebhook": {"drop_pending_updates": _boolean},
    "getWebhookInfo": {},
    "setMyCommands": {"commands": _list, "scope": _object, "language_code": str},
    "deleteMyCommands": {"scope": _object, "language_code": str},
}
METHODS = {name.lower(): name for name in PARAMETERS}
BUTTON_KINDS = (
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "copy_text",
)
MARKUPS = ("inline_keyboard", "keyboard", "remove_keyboard", "force_reply")


class FakeTelegram(Loopback):
    def __init__(self, token: str = "123456789:practice-token-of-a-school-bot") -> None:
        super().__init__()
        self.token = token
        self.me = {"id": int(token.split(":")[0]), "is_bot": True, "first_name": "Puente", "username": "puente_practice_bot"}
        self.people: dict[int, dict[str, Any]] = {}
        self.blocked: set[int] = set()
        self.deactivated: set[int] = set()
        self.groups: set[int] = set()
        self.left: list[int] = []
        self.sent: list[dict[str, Any]] = []
        self.edits: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.pending: deque[dict[str, Any]] = deque()
        self.webhook: dict[str, Any] = {}
        self.release = asyncio.Event()
        self._next: deque[Answer] = deque()
        self._always: dict[int, Answer] = {}
        self._queries: set[str] = set()
        self._update_ids = itertools.count(900_000_001)
        self._message_ids = itertools.count(1)
        self._query_ids = itertools.count(1)
        self._queued = asyncio.Condition()
        self._client: ClientSession

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.route("*", r"/bot{token:[^/]+}/{method}", self._call)]

    async def __aenter__(self) -> Self:
        self._client = ClientSession()
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        self.release.set()
        await super().__aexit__(*exc)
        await self._client.close()

    # What a test tells it

    def joins(self, chat_id: int, first_name: str = "Rosa", language_code: str | None = None) -> None:
        """A person opens the chat: before that, a bot cannot write to them."""
        person = {"id": chat_id, "is_bot": False, "first_name": first_name}
        self.people[chat_id] = person | ({"language_code": language_code} if language_code else {})

    def blocks(self, chat_id: int) -> None:
        self.blocked.add(chat_id)

    def next(self, answer: Answer, times: int = 1) -> None:
        """Answer the next messages that are sent so, whoever they are for."""
        self._next.extend([answer] * times)

    def always(self, chat_id: int, answer: Answer | None) -> None:
        """Answer every message to this chat so, until told None."""
        if answer is None:
            self._always.pop(chat_id, None)
        else:
            self._always[chat_id] = answer

    def texts(self, chat_id: int) -> list[str]:
        return [message["text"] for message in self.sent if message["chat"]["id"] == chat_id]

    async def says(self, chat_id: int, text: str) -> dict[str, Any]:
        """A person writes to the bot. The update, which is also what a repetition repeats: `deliver(update)`."""
        if chat_id not in self.people:
            self.joins(chat_id)
        self.blocked.discard(chat_id)
        message = self._message(chat_id, text, self.people[chat_id])
        if command := re.match(r"/[a-z0-9_]+", text):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": command.end()}]
        return await self._queue("message", message)

    async def replies(self, chat_id: int, message_id: int, text: str) -> dict[str, Any]:
        """A person answers a message by pointing at it."""
        message = self._message(chat_id, text, self.people[chat_id])
        return await self._queue("message", message | {"reply_to_message": _shown(self._find(chat_id, message_id))})

    async def changes(self, said: Mapping[str, Any], text: str) -> dict[str, Any]:
        """A person changes what they have written."""
        message = {**said["message"], "text": text, "edit_date": 1_800_000_001}
        return await self._queue("edited_message", message)

    async def shares_number(self, chat_id: int, number: str, owner: int | None = None) -> dict[str, Any]:
        """A person presses the button that shares their number, or sends the address card of another `owner`."""
        if chat_id not in self.people:
            self.joins(chat_id)
        message = self._message(chat_id, "", self.people[chat_id])
        del message["text"]
        message["contact"] = {"phone_number": number, "first_name": "?", "user_id": owner or chat_id}
        return await self._queue("message", message)

    async def is_added_to(self, group_id: int, by: int) -> dict[str, Any]:
        """Somebody takes the bot into a group."""
        if by not in self.people:
            self.joins(by)
        self.groups.add(group_id)
        member = {"user": self.me, "status": "member"}
        change = {
            "chat": _group(group_id), "from": self.people[by], "date": 1_800_000_000,
            "old_chat_member": member | {"status": "left"}, "new_chat_member": member,
        }  # fmt: skip
        return await self._queue("my_chat_member", change)

    async def hears_in(self, group_id: int, chat_id: int, text: str, *, channel: bool = False) -> dict[str, Any]:
        """Somebody writes in a group, or something is posted in a channel, that the bot is in."""
        self.groups.add(group_id)
        message = self._message(chat_id, text, self.people[chat_id]) | {"chat": _group(group_id, channel=channel)}
        return await self._queue("channel_post" if channel else "message", message)

    async def press(self, chat_id: int, data: str, message_id: int | None = None) -> dict[str, Any]:
        """A person taps a button. It must be there: on the message named, or on the last one in the chat that has it."""
        shown = (message for message in reversed(self.sent) if message["chat"]["id"] == chat_id)
        found = [message for message in shown if data in _callback_data(message) and message_id in (None, message["message_id"])]
        if not found:
            raise LookupError(f"no button {data!r} is shown in this chat")
        query_id = str(next(self._query_ids))
        self._queries.add(query_id)
        query = {"id": query_id, "from": self.people[chat_id], "message": found[0], "chat_instance": str(chat_id), "data": data}
        return await self._queue("callback_query", query)

    async def deliver(self, update: Mapping[str, Any]) -> int:
        """Post an update to the webhook, as Telegram does once and again. The status that came back."""
        secret = self.webhook.get("secret_token")
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
        async with self._client.post(self.webhook["url"], json=update, headers=headers) as response:
            return response.status

    async def deliver_pending(self) -> None:
        """Post what waits, in order, and stop where the webhook does not say yes: it stays waiting."""
        while self.pending and self.webhook:
            if await self.deliver(self.pending[0]) // 100 != 2:
                return
            self.pending.popleft()

    # What aiogram talks to

    async def _call(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return _said(Answer(401, "Unauthorized"))
        name = METHODS.get(request.match_info["method"].lower())
        if name is None:
            return _said(Answer(404, "Not Found"))
        try:
            parameters = _read(name, await _fields(request))
            self.calls.append((name, parameters))
            if name == "sendMessage":
                return await self._send(request, parameters)
            method = getattr(self, f"_{re.sub('[A-Z]', lambda capital: '_' + capital[0].lower(), name)}")
            return web.json_response({"ok": True, "result": await method(**parameters)})
        except WrongError as wrong:
            return _said(wrong.answer)

    async def _send(self, request: web.Request, parameters: dict[str, Any]) -> web.StreamResponse:
        answer = self._always.get(parameters.get("chat_id", 0)) or (self._next.popleft() if self._next else None)
        if answer is None:
            return web.json_response({"ok": True, "result": self._send_message(**parameters)})
        if answer.takes:
            self._send_message(**parameters)
        if answer.hangs:
            await self.release.wait()
        if (answer.hangs or answer.drops) and request.transport:
            request.transport.abort()
        return _said(answer)

    def _send_message(self, chat_id: int | None = None, text: str = "", reply_markup: Any = None, **_: Any) -> dict[str, Any]:
        self._reachable(chat_id)
        message = self._message(chat_id or 0, _text(text), self.me)
        if reply_markup:
            message["reply_markup"] = _markup(reply_markup)
        self.sent.append(message)
        return _shown(message)

    async def _leave_chat(self, chat_id: int = 0) -> bool:
        if chat_id not in self.groups:
            raise WrongError(400, "Bad Request: chat not found")
        self.groups.discard(chat_id)
        self.left.append(chat_id)
        return True

    async def _get_me(self) -> dict[str, Any]:
        return self.me | {"can_join_groups": False, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _edit_message_text(self, text: str = "", reply_markup: Any = None, **where: Any) -> dict[str, Any]:
        message = self._find(**{name: where.get(name) for name in ("chat_id", "message_id")})
        markup = _markup(reply_markup) if reply_markup else None
        if message["text"] == _text(text) and message.get("reply_markup") == markup:
            raise WrongError(
                400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same"
            )
        return self._edit(message, markup, text=text)

    async def _edit_message_reply_markup(self, chat_id: int = 0, message_id: int = 0, reply_markup: Any = None) -> dict[str, Any]:
        return self._edit(self._find(chat_id, message_id), _markup(reply_markup) if reply_markup else None)

    async def _answer_callback_query(self, callback_query_id: str = "", **shown: Any) -> bool:
        if callback_query_id not in self._queries:
            raise WrongError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self._queries.remove(callback_query_id)
        self.answered.append({"callback_query_id": callback_query_id, **shown})
        return True

    async def _send_chat_action(self, chat_id: int = 0, action: str = "") -> bool:
        self._reachable(chat_id)
        return True

    async def _get_updates(
        self,
        offset: int = 0,
        limit: int = 100,
        timeout: int = 0,  # noqa: ASYNC109  # Telegram's own word
        allowed_updates: Any = None,
    ) -> list[dict[str, Any]]:
        if self.webhook:
            raise WrongError(
                409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            )
        # Asking from an offset on confirms what is older: it is forgotten. A negative one counts from the end.
        if offset < 0:
            offset = self.pending[offset]["update_id"] if len(self.pending) >= -offset else 0
        while self.pending and self.pending[0]["update_id"] < offset:
            self.pending.popleft()
        if not self.pending and timeout:
            await self._wait_for_update(min(timeout, LONGEST_WAIT))
        return list(itertools.islice(self.pending, max(1, min(limit, 100))))

    async def _set_webhook(self, url: str = "", drop_pending_updates: bool = False, **settings: Any) -> bool:
        if "secret_token" in settings and not SECRET.fullmatch(settings["secret_token"]):
            raise WrongError(400, "Bad Request: secret token contains unallowed characters")
        if url and not url.startswith(("https://", "http://127.0.0.1:")):
            raise WrongError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if drop_pending_updates:
            self.pending.clear()
        self.webhook = {"url": url, **settings} if url else {}
        return True

    async def _delete_webhook(self, drop_pending_updates: bool = False) -> bool:
        return await self._set_webhook("", drop_pending_updates)

    async def _get_webhook_info(self) -> dict[str, Any]:
        url = self.webhook.get("url", "")
        return {"url": url, "has_custom_certificate": False, "pending_update_count": len(self.pending)}

    async def _set_my_commands(self, commands: Any = (), language_code: str = "", scope: Any = None) -> bool:
        for command in commands:
            if not COMMAND.fullmatch(command.get("command", "")):
                raise WrongError(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= len(command.get("description", "")) <= 256:
                raise WrongError(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands[f"chat {scope['chat_id']}" if scope else language_code] = list(commands)
        return True

    async def _delete_my_commands(self, language_code: str = "", scope: Any = None) -> bool:
        self.commands.pop(language_code, None)
        return True

    def _reachable(self, chat_id: int | None) -> None:
        if chat_id is None:
            raise WrongError(400, "Bad Request: chat_id is empty")
        if chat_id in self.deactivated:
            raise WrongError(403, "Forbidden: user is deactivated")
        if chat_id in self.blocked:
            raise WrongError(403, "Forbidden: bot was blocked by the user")
        if chat_id not in self.people and chat_id not in self.groups:
            raise WrongError(400, "Bad Request: chat not found")

    def _message(self, chat_id: int, text: str, sender: Mapping[str, Any]) -> dict[str, Any]:
        person = self.people.get(chat_id)
        chat = {"id": chat_id, "type": "private", "first_name": person["first_name"]} if person else _group(chat_id)
        return {"message_id": next(self._message_ids), "date": 1_800_000_000, "chat": chat, "from": dict(sender), "text": text}

    def _find(self, chat_id: int | None, message_id: int | None) -> dict[str, Any]:
        for message in self.sent:
            if (message["chat"]["id"], message["message_id"]) == (chat_id, message_id):
                return message
        raise WrongError(400, "Bad Request: message to edit not found")

    def _edit(self, message: dict[str, Any], markup: Any, **changes: Any) -> dict[str, Any]:
        message.pop("reply_markup", None)
        message.update(changes, edit_date=1_800_000_001, **({"reply_markup": markup} if markup else {}))
        self.edits.append(dict(message))
        return _shown(message)

    async def _queue(self, kind: str, what: Any) -> dict[str, Any]:
        update = {"update_id": next(self._update_ids), kind: what}
        self.pending.append(update)
        if self.webhook:
            await self.deliver_pending()
        async with self._queued:
            self._queued.notify_all()
        return update

    async def _wait_for_update(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self._queued:
                await self._queued.wait_for(lambda: bool(self.pending))
        except TimeoutError:
            return


def _group(group_id: int, *, channel: bool = False) -> dict[str, Any]:
    return {"id": group_id, "type": "channel" if channel else "supergroup", "title": "Parents of 3B"}


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type == "application/json":
        sent = await request.json()
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in sent.items()}
    return {name: str(value) for name, value in [*request.query.items(), *(await request.post()).items()]}


def _read(method: str, fields: Mapping[str, str]) -> dict[str, Any]:
    known, read = PARAMETERS[method], {}
    for name, value in fields.items():
        if name not in known:
            raise WrongError(400, f"Bad Request: {method} takes no parameter {name}")
        try:
            read[name] = known[name](value)
        except ValueError as error:
            raise WrongError(400, f"Bad Request: can't parse parameter {name}: {error}") from None
    return read


def _text(text: str) -> str:
    if not text.strip():
        raise WrongError(400, "Bad Request: message text is empty")
    if len(text) > LONGEST_TEXT:
        raise WrongError(400, "Bad Request: message is too long")
    return text


def _markup(markup: dict[str, Any]) -> dict[str, Any]:
    if not any(kind in markup for kind in MARKUPS):
        raise WrongError(400, "Bad Request: can't parse reply keyboard markup JSON object")
    for button in itertools.chain.from_iterable(markup.get("inline_keyboard", ())):
        if not button.get("text") or sum(kind in button for kind in BUTTON_KINDS) != 1:
            raise WrongError(400, "Bad Request: can't parse inline keyboard button")
        if len(button.get("callback_data", "").encode()) > 64:
            raise WrongError(400, "Bad Request: BUTTON_DATA_INVALID")
    return markup


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    """A message as Telegram sends it back: only inline keyboards belong to a message."""
    if "inline_keyboard" in message.get("reply_markup", {}):
        return message
    return {name: value for name, value in message.items() if name != "reply_markup"}


def _callback_data(message: Mapping[str, Any]) -> set[str]:
    buttons = itertools.chain.from_iterable(message.get("reply_markup", {}).get("inline_keyboard", ()))
    return {button["callback_data"] for button in buttons if "callback_data" in button}


def _said(answer: Answer) -> web.Response:
    if answer.body is not None:
        return web.Response(status=answer.status, text=answer.body, content_type="text/html")
    said: dict[str, Any] = {"ok": False, "error_code": answer.status, "description": answer.description}
    if answer.parameters:
        said["parameters"] = dict(answer.parameters)
    return web.json_response(said, status=answer.status)
