"""Mail by SMTP, with the standard library: what is sent is small and rare, so a library would bring nothing."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from pydantic import SecretStr

from productops.domain.analytics_report import Letter
from productops.errors import DependencyError, SettingsError
from productops.settings import Settings, is_loopback

TIMEOUT_S = 20.0


class SmtpMail:
    """One connection for each letter. ``security``: ``tls`` from the first byte, ``starttls``, or ``none`` (this machine only)."""

    def __init__(
        self, host: str, port: int, *, sender: str, security: str = "starttls", user: str = "", password: SecretStr | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        """Raises: SettingsError for mail without TLS that would leave this machine."""
        if security == "none" and not is_loopback(host):
            raise SettingsError(f"PRODUCTOPS_SMTP_SECURITY is none, but {host} is another machine: use starttls or tls")
        self._host, self._port, self._sender, self._security = host, port, sender, security
        self._user, self._password = user, password
        self._trusted = trusted or ssl.create_default_context()

    def send(self, letter: Letter) -> None:
        """Hand a letter to the server.

        Raises: DependencyError; its ``extra`` has ``unsure`` where the server had everything and did not answer, so that it may have
        sent the letter.
        """
        message = _message(letter, self._sender)
        try:
            server = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            raise DependencyError(f"mail server {self._host}:{self._port} does not take mail: {_told(error)}", unsure=False) from error
        try:
            server.send_message(message, self._sender, [letter.recipient])
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
            raise DependencyError(
                f"mail server {self._host} refused the mail to {letter.recipient}: {_told(error)}", unsure=False
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            raise DependencyError(f"mail server {self._host} did not answer after the mail: {_told(error)}", unsure=True) from error
        finally:
            _leave(server)

    def _connected(self) -> smtplib.SMTP:
        if self._security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_S, context=self._trusted)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
        try:
            if self._security == "starttls":
                server.starttls(context=self._trusted)
            if self._user and self._password is not None:
                server.login(self._user, self._password.get_secret_value())
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
        return server


def connect_mail(settings: Settings) -> SmtpMail | None:
    """As the settings say; None where no server is set. Raises: SettingsError."""
    if not settings.smtp_host:
        return None
    if not settings.smtp_from:
        raise SettingsError("PRODUCTOPS_SMTP_HOST is set: set PRODUCTOPS_SMTP_FROM to the address mails come from, as well")
    return SmtpMail(
        settings.smtp_host, settings.smtp_port, sender=settings.smtp_from, security=settings.smtp_security, user=settings.smtp_user,
        password=settings.smtp_password,
    )  # fmt: skip


def _message(letter: Letter, sender: str) -> EmailMessage:
    """Plain text first, HTML as the alternative. Headers cannot be injected: the library refuses line breaks."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.recipient, " ".join(letter.subject.split())
    message["Date"], message["Message-ID"] = format_datetime(localtime()), letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def _leave(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()  # the mail is handed over, or the error is on its way


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        return f"{error.smtp_code} {said}"[:300]
    return f"{type(error).__name__} {error}"[:300]
