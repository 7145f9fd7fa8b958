"""E-mail over SMTP: the updates of one alert are one thread."""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Literal, NamedTuple

from alerts.channel import NotNowError, RefusedError, UnclearError
from alerts.destinations.notice import Notice, Trouble
from alerts.pages.templating import TEMPLATES
from alerts.plain_text import clip, one_line

logger = logging.getLogger(__name__)

Tls = Literal["starttls", "implicit", "none"]
LATER_SECONDS = 60.0
"""The wait after a temporary refusal, such as greylisting."""
_SUBJECT = 150


class Email(NamedTuple):
    """A mail server, and who gets mail through it."""

    host: str
    port: int
    tls: Tls
    ca_file: Path | None
    username: str | None
    password: str | None
    sender: str
    recipients: tuple[str, ...]
    timeout: float

    def tell(self, notice: Notice, now: float) -> str:
        """Mail the alert as it is now. Raises a ChannelError.

        A repeated mail has the same Message-ID, and the later ones refer to the first.
        """
        message_id = self._id(f"{notice.fingerprint}.{notice.alert.revision}")
        # The same for all of a thread, as long as the finding is: some readers go by it, too.
        message = self._message(message_id, f"[latentwatch] {notice.title}", notice.reference, now)
        if notice.alert.severity == "critical":
            message["Importance"] = "high"
        message.set_content(TEMPLATES.get_template("email.txt.j2").render(notice=notice))
        html = TEMPLATES.get_template("email.html.j2").render(notice=notice)
        message.add_alternative(html, subtype="html")
        self._send(message)
        return notice.reference or message_id

    def tell_trouble(self, trouble: Trouble, now: float) -> str:
        """Mail that a channel is away, or there again. Raises a ChannelError."""
        first = self._id(trouble.key)
        subject = f"[latentwatch] alerts can't be sent to {trouble.channel}"
        answers = first if trouble.over else None
        message_id = self._id(f"{trouble.key}.over") if trouble.over else first
        message = self._message(message_id, subject, answers, now)
        message.set_content(f"{trouble.sentence}\n")
        self._send(message)
        return first

    def probe(self, now: float) -> str:
        """Sign in and ask whether every recipient is known, without a mail. Raises ChannelError."""
        with self._connected() as server:
            server.ehlo_or_helo_if_needed()
            server.mail(self.sender)
            for recipient in self.recipients:
                code, said = server.rcpt(recipient)
                if code >= 300:
                    raise RefusedError(f"{recipient}: {_said(code, said)}")
            server.rset()
        return f"takes mail for {', '.join(self.recipients)}"

    def _message(
        self, message_id: str, subject: str, answers: str | None, now: float
    ) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message["Subject"] = f"{'Re: ' if answers else ''}{clip(one_line(subject), _SUBJECT)}"
        message["Date"] = formatdate(now)
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday notice answers
        if answers:
            message["In-Reply-To"] = message["References"] = answers
        return message

    def _send(self, message: EmailMessage) -> None:
        with self._connected() as server:
            refused = server.send_message(message, self.sender, list(self.recipients))
        if refused:  # the others have it, and would get it again if this were an error
            logger.error("the mail server takes no mail for %s", ", ".join(sorted(refused)))

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            if self.tls == "implicit":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    self.host, self.port, timeout=self.timeout, context=context
                )
            else:
                server = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
            with server:
                if self.tls == "starttls":
                    server.starttls(context=context)
                if self.username is not None and self.password is not None:
                    server.login(self.username, self.password)
                yield server
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _refusal(code, said) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise RefusedError(f"the mail server can't do what is set: {error}") from error
        except ssl.SSLError as error:
            raise RefusedError(f"the mail server's certificate: {error}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise UnclearError(f"the mail server did not answer: {type(error).__name__}") from error

    def _id(self, local: str) -> str:
        return f"<{local}@{self.sender.rpartition('@')[2].rstrip('>')}>"


def _refusal(code: int, said: bytes | str) -> NotNowError | RefusedError:
    reason = f"the mail server says {_said(code, said)}"
    return NotNowError(reason, LATER_SECONDS) if code < 500 else RefusedError(reason)


def _said(code: int, said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {clip(one_line(text), 200)}"
