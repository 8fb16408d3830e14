"""The mail relay: takes every mail into the mailbox, save what its address asks to be refused."""

import asyncio
from typing import cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from ops.sandbox.mailbox import Mailbox

REFUSED_DOMAIN = "refused.example"  # 550, for good
DEFERRED_DOMAIN = "deferred.example"  # 451, every time
DROPPED_DOMAIN = "dropped.example"  # the mail is kept, but the connection ends without an answer


class Relay:
    """Handles what aiosmtpd understood of a conversation."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        del server, session
        domain = address.rpartition("@")[2].lower()
        if domain == REFUSED_DOMAIN:
            return "550 5.1.1 No such user here"
        if domain == DEFERRED_DOMAIN:
            return "451 4.7.1 Try again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail."""
        del session
        recipients = [str(each) for each in envelope.rcpt_tos]
        self._mailbox.keep(envelope.mail_from or "", recipients, envelope.original_content or b"")
        dropped = any(each.lower().endswith(f"@{DROPPED_DOMAIN}") for each in recipients)
        if dropped:
            # uvloop's transports have the method without being of the class.
            cast("asyncio.Transport", server.transport).abort()
        return "250 2.0.0 OK"


async def listen(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """Serve SMTP on the running loop."""
    loop = asyncio.get_running_loop()
    relay = Relay(mailbox)

    def connected() -> SMTP:
        return SMTP(relay, hostname="sandbox", ident="Orderflow", enable_SMTPUTF8=True, loop=loop)

    return await loop.create_server(connected, host, port)
