"""E-mail, by an SMTP server that takes mail from us."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from prodsprints.guard import CallTimeoutError, ServiceUnavailable
from prodsprints.notify.config import Email
from prodsprints.notify.errors import RefusedError
from prodsprints.notify.message import Letter

_PERMANENT = 500


class Mail:
    """Hands a letter to the server, which answers for it from then on."""

    def __init__(self, name: str, entry: Email, password: str | None) -> None:
        self.name = name
        self.provider = "email"
        self.seconds = entry.timeout_seconds
        self._entry = entry
        self._password = password
        self._tls = None if entry.security == "none" else ssl.create_default_context()
        self._ourselves = socket.gethostname()  # smtplib would ask a name server, which may not answer

    def send(self, letter: Letter) -> str:
        """Hand it over; what the server does after it took the letter, such as to drop the connection, is its own."""
        try:
            server = self._connected()
            try:
                refused = server.send_message(_mail(letter, self._entry))
                _leave(server)
            finally:
                server.close()
        except TimeoutError:
            raise CallTimeoutError(f"no answer within {self.seconds:g} s") from None
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal("every recipient", [code for code, _ in error.recipients.values()]) from None
        except smtplib.SMTPSenderRefused as error:
            raise _refusal("the sender", [error.smtp_code]) from None
        except smtplib.SMTPDataError as error:
            raise _refusal("the letter", [error.smtp_code]) from None
        except smtplib.SMTPResponseException as error:  # a greeting, STARTTLS, a login
            raise ServiceUnavailable(f"it answered {error.smtp_code} before the letter") from None
        except smtplib.SMTPServerDisconnected:
            raise ServiceUnavailable("it ended the connection before it took the letter") from None
        except smtplib.SMTPException as error:
            raise ServiceUnavailable(f"it does not take our mail ({type(error).__name__})") from None
        except ssl.SSLError as error:
            raise ServiceUnavailable(f"its connection is not secure ({error.reason or 'TLS'})") from None
        except OSError as error:
            raise ServiceUnavailable(f"the connection failed ({type(error).__name__})") from None
        everybody = len(self._entry.recipients)
        return f"taken for {everybody - len(refused)} of {everybody} recipients"

    def _connected(self) -> smtplib.SMTP:
        entry, us = self._entry, self._ourselves
        if entry.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(entry.host, entry.port, us, timeout=self.seconds, context=self._tls)
        else:
            server = smtplib.SMTP(entry.host, entry.port, us, timeout=self.seconds)
        try:
            if entry.security == "starttls":
                server.starttls(context=self._tls)
            if entry.username is not None and self._password is not None:
                server.login(entry.username, self._password)
        except BaseException:
            server.close()
            raise
        return server


def _mail(letter: Letter, entry: Email) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"] = letter.message_id
    mail["Date"] = format_datetime(letter.created_at)
    mail["Subject"] = letter.subject if letter.severity == "info" else f"[{letter.severity}] {letter.subject}"
    mail["From"] = Address("ProdSprints", addr_spec=entry.sender)
    mail["To"] = [Address(addr_spec=one) for one in entry.recipients]
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers to this
    mail["X-ProdSprints-Audience"] = letter.audience
    mail.set_content(f"{letter.body or letter.subject}\n\n-- \nProdSprints to {letter.audience}, {letter.mark}\n")
    return mail


def _refusal(what: str, codes: list[int]) -> Exception:
    said = f"it refused {what} ({', '.join(map(str, sorted(set(codes))))})"
    if all(code >= _PERMANENT for code in codes):
        return RefusedError(said, next_step="See the channel's setup.")
    return ServiceUnavailable(said)


def _leave(server: smtplib.SMTP) -> None:
    # It is the server's already: whether it says good-bye, and when, must not make that a failure.
    with contextlib.suppress(OSError, smtplib.SMTPException):
        server.putcmd("quit")
