"""Mail over SMTP, by a few connections that are kept open."""

import asyncio
import re
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from domain.mail import Delivery, Mail, Refused, Sent, Unsent
from ops.config import SettingInvalid, Settings
from ops.telemetry import faultpoint
from ops.telemetry.faultpoint import Call
from workers import letters
from workers.letters import Letter, Unmailable

# These say that the relay does not know us; the mail itself is not at fault.
_OUR_CREDENTIALS = frozenset({530, 534, 535, 538})


class SmtpMailer:
    """A relay and the connections to it.

    If a connection is lost while the relay takes a mail, the mail is Unsent although it may have
    arrived; sent again, the copy has the same Message-ID.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the settings. Raises SettingInvalid for an SMTP_URL or MAIL_FROM that is none."""
        self._relay = _relay(settings.smtp_url)
        self._timeout_s = settings.smtp_timeout_s
        try:
            self._from, self._sender = letters.address_header("From", settings.mail_from)
        except Unmailable as error:
            raise SettingInvalid(f"MAIL_FROM is no sender: {error}") from error
        self._turns = asyncio.Semaphore(settings.smtp_concurrency)
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, mail: Mail) -> Delivery:
        """Hand a mail to the relay."""
        try:
            letter = letters.write(mail, sender=self._from)
        except Unmailable as error:
            return Refused(str(error))
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._deliver(letter)
            except TimeoutError:
                return Unsent(f"The relay did not answer within {self._timeout_s:g} s.")
            except (aiosmtplib.SMTPException, OSError) as error:
                return Unsent(f"The relay could not be used: {type(error).__name__}.")
            except ValueError:
                # Of aiosmtplib, before anything was sent.
                return Refused("The address cannot be given to a relay.")

    async def close(self) -> None:
        """Take leave of the relay."""
        while self._idle:
            connection = self._idle.pop()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await connection.quit()
            except (aiosmtplib.SMTPException, OSError):
                connection.close()

    async def _deliver(self, letter: Letter) -> Delivery:
        connection = await self._connected()
        try:
            with faultpoint.around(Call.MAIL, aiosmtplib.SMTPServerDisconnected):
                await connection.sendmail(
                    self._sender, letter.recipient, letter.content, mail_options=letter.options
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            self._idle.append(connection)
            return _answered(error.recipients[0], letter.recipient)
        except aiosmtplib.SMTPNotSupported:
            self._idle.append(connection)
            return Refused("The relay cannot take an address that is not ASCII.")
        except aiosmtplib.SMTPResponseException as error:
            connection.close()
            return _answered(error, letter.recipient)
        except BaseException:
            # Half a conversation: whatever the relay says next belongs to this mail.
            connection.close()
            raise
        self._idle.append(connection)
        return Sent()

    async def _connected(self) -> aiosmtplib.SMTP:
        """Take an idle connection that the relay has not closed, or make one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected:
                return connection
        connection = self._connection()
        await connection.connect()
        return connection

    def _connection(self) -> aiosmtplib.SMTP:
        secret = unquote(self._relay.password or "")
        return aiosmtplib.SMTP(
            hostname=self._relay.hostname,
            port=self._relay.port,
            username=unquote(self._relay.username) if self._relay.username else None,
            password=secret or None,
            use_tls=self._relay.scheme == "smtps",
            # A secret never goes in clear; without one TLS is used if the relay offers it.
            start_tls=True if secret and self._relay.scheme == "smtp" else None,
            timeout=self._timeout_s,
        )


def _relay(url: str) -> SplitResult:
    relay = urlsplit(url)
    try:
        usable = relay.scheme in {"smtp", "smtps"} and relay.hostname and relay.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingInvalid("SMTP_URL is not smtp://[user:secret@]host[:port] or smtps://.")
    return relay


def _answered(error: aiosmtplib.SMTPResponseException, recipient: str) -> Delivery:
    # Most relays repeat whom they refuse; the reason is kept where nobody would erase a person.
    said = re.sub(re.escape(recipient), "the recipient", error.message, flags=re.IGNORECASE)
    reason = f"The relay said {error.code} {said}"
    if 500 <= error.code < 600 and error.code not in _OUR_CREDENTIALS:  # noqa: PLR2004 - RFC 5321
        return Refused(reason)
    return Unsent(reason)
