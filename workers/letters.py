"""A mail as it goes over the wire: RFC 5322 text that cannot carry a second header."""

import re
from base64 import encodebytes
from datetime import UTC, datetime
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import AddressHeader, BaseHeader
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import cast

import msgspec

from domain.mail import Mail

# RFC 5321 limits a line to 998 octets and its end; longer ones are encoded.
_LINE_MAX = 998
# A line of a folded header that does not continue the one before would be a header of its own.
_UNFOLDED = re.compile(r"[\r\n](?![ \t])(?!\n)")
_LINE_BREAK = re.compile(r"[\r\n]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PORTABLE = re.compile(r"[\t\n\x20-\x7e]*")
# Nearly every header: one short line of printable ASCII in which nothing is to be encoded.
_PLAIN = re.compile(r"[!-<>-~]([ -<>-~]{0,58}[!-<>-~])?")
_PLAIN_ADDRESS = re.compile(r"(?=.{3,60}\Z)[\w+-]+(\.[\w+-]+)*@[\w-]+(\.[\w-]+)*", re.ASCII)
# A line break is a ValueError; what else is malformed makes the email package stumble like this.
_STUMBLES = (ValueError, LookupError, AttributeError, TypeError, MessageError)


class Unmailable(ValueError):
    """A mail has an address or a header that no relay could take."""


class Letter(msgspec.Struct, frozen=True):
    """A mail as it goes over the wire."""

    recipient: str
    content: bytes
    options: tuple[str, ...]  # of the MAIL command


def write(mail: Mail, *, sender: str) -> Letter:
    """Render a mail; `sender` is its From header. Raises Unmailable.

    EmailMessage and its generator take 0.65 ms for what this does in 0.02 ms: a plain header is
    copied, any other is parsed and folded by the email package.
    """
    to, recipient = address_header("To", mail.to)
    text = mail.text.replace("\r\n", "\n")
    plain = _PORTABLE.fullmatch(text) and max(map(len, text.split("\n"))) <= _LINE_MAX
    body = text.encode() if plain else _base64(text)
    head = (
        sender,
        to,
        header("Subject", mail.subject),
        header("Message-ID", f"<{mail.message_id}>"),
        f"Date: {format_datetime(datetime.now(UTC))}\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "MIME-Version: 1.0\r\n",
        'Content-Type: text/plain; charset="utf-8"\r\n',
        f"Content-Transfer-Encoding: {'7bit' if plain else 'base64'}\r\n\r\n",
    )
    options = () if recipient.isascii() else ("SMTPUTF8",)
    return Letter(recipient, "".join(head).encode() + body, options)


def header(name: str, value: str) -> str:
    """Render one header. Raises Unmailable if it could become two."""
    if _PLAIN.fullmatch(value):
        return f"{name}: {value}\r\n"
    return _fold(name, _parse(name, value))


def address_header(name: str, value: str) -> tuple[str, str]:
    """Render a header of one address and return it with the bare address.

    Raises Unmailable unless it is exactly one.
    """
    if _PLAIN_ADDRESS.fullmatch(value):
        return f"{name}: {value}\r\n", value
    parsed = _parse(name, value)
    addresses = parsed.addresses if isinstance(parsed, AddressHeader) else ()
    # Beyond ASCII is what SMTPUTF8 is for; the relay may still refuse it.
    broken = [each for each in parsed.defects if not isinstance(each, NonASCIILocalPartDefect)]
    if len(addresses) != 1 or broken or not addresses[0].domain:
        raise Unmailable(f"{name} is not one mail address.")
    return _fold(name, parsed), addresses[0].addr_spec


def _parse(name: str, value: str) -> BaseHeader:
    try:
        _, parsed = SMTP.header_store_parse(name, value)
    except _STUMBLES as error:
        raise Unmailable(f"{name} has a line break or is malformed.") from error
    # An encoded word may hold one; not every Python refuses it by itself.
    if _LINE_BREAK.search(str(parsed)):
        raise Unmailable(f"{name} has a line break.")
    return cast("BaseHeader", parsed)


def _fold(name: str, parsed: BaseHeader) -> str:
    # Only an address may stay as it is beyond ASCII: RFC 2047 has no encoding for it.
    policy = SMTPUTF8 if isinstance(parsed, AddressHeader) else SMTP
    try:
        folded = policy.fold(name, parsed)
        folded.encode()
    except _STUMBLES as error:
        raise Unmailable(f"{name} is malformed.") from error
    if _UNFOLDED.search(folded.removesuffix("\r\n")) or _CONTROL.search(folded):
        raise Unmailable(f"{name} has a line break or another control character.")
    return folded


def _base64(text: str) -> bytes:
    # A broken character, e.g. of an imported name, must not cost the customer the mail.
    return encodebytes(text.replace("\n", "\r\n").encode(errors="replace"))
