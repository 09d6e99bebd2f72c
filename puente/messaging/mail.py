"""E-mail, for one thing only: the link that lets a member of staff sign in. No text to a family goes this way."""

from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib
import structlog

log = structlog.get_logger()

SECONDS = 20.0


@dataclass(frozen=True)
class Mailer:
    """The school's mail server. Port 465 speaks TLS from the first byte, any other is asked for STARTTLS."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    plain: bool = False  # only for a server on this machine

    async def send(self, to: str, subject: str, text: str) -> bool:
        """Whether the server took it. Why not is logged without the address."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self.sender, to, subject
        mail.set_content(text)
        try:
            await aiosmtplib.send(
                mail, hostname=self.host, port=self.port, username=self.user, password=self.password, timeout=SECONDS,
                use_tls=self.port == 465, start_tls=False if self.plain else None if self.port == 465 else True,
            )  # fmt: skip
        except (aiosmtplib.SMTPException, OSError) as error:
            log.error("mail.failed", error=type(error).__name__)
            return False
        return True
