from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.mail import Mail
from workers.letters import Unmailable, address_header, header, write

SENDER = "From: Orderflow <orders@orderflow.example>\r\n"


def test_letter_has_the_headers_of_a_mail() -> None:
    letter = write(a_mail(), sender=SENDER)

    read = message_from_bytes(letter.content, policy=policy.default)
    assert read["From"] == "Orderflow <orders@orderflow.example>"
    assert read["To"] == letter.recipient == "ann@example.com"
    assert read["Subject"] == "Your order is confirmed"
    assert read["Message-ID"] == "<o-1.order_confirmed@orderflow>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["MIME-Version"] == "1.0"
    assert parsedate_to_datetime(read["Date"]).tzinfo is not None
    assert read.defects == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain\n",
        "no end of line",
        "dot\n.\n..dots\n",
        "Grüße, 3 x Ünïcode € £5\n",
        "long " * 1000,
        "tab\tand\r\nboth kinds of line end\n",
        "nul \x00 and bell \x07",
    ],
)
def test_text_comes_back_as_it_was_written(text: str) -> None:
    letter = write(a_mail(text=text), sender=SENDER)

    read = message_from_bytes(letter.content, policy=policy.default)
    assert read.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert max(len(line) for line in letter.content.split(b"\n")) <= 998


def test_broken_character_in_the_text_costs_only_itself() -> None:
    letter = write(a_mail(text="broken \ud800 name"), sender=SENDER)

    read = message_from_bytes(letter.content, policy=policy.default)
    assert read.get_content().strip() == "broken ? name"


@pytest.mark.parametrize(
    "subject", ["Grüße", "€" * 100, "a" * 300, "x" * 78, "1 = 2", " padded ", "", "=?utf-8?q?x?="]
)
def test_subject_is_encoded_and_folded_as_needed(subject: str) -> None:
    letter = write(a_mail(subject=subject), sender=SENDER)

    read = message_from_bytes(letter.content, policy=policy.default)
    expected = "x" if subject.startswith("=?") else subject.strip()
    assert read["Subject"].strip() == expected
    assert letter.content.partition(b"\r\n\r\n")[0].isascii()


@pytest.mark.parametrize(
    "evil",
    [
        "a\r\nBcc: eve@example.com",
        "a\nBcc: eve@example.com",
        "a\rBcc: eve@example.com",
        "a\r\n\r\nbody",
        "=?utf-8?q?a=0D=0ABcc:_eve@example.com?=",
        "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5jb20=?=",
        "a\x00b",
        "a\x0bBcc: eve@example.com",
        "a\u2028Bcc: eve@example.com",
        "a\x85Bcc: eve@example.com",
        "a\x7fb",
        "\ud800",
    ],
)
def test_no_header_becomes_two(evil: str) -> None:
    for name in ("Subject", "Message-ID"):
        with pytest.raises(Unmailable):
            header(name, evil)
    with pytest.raises(Unmailable):
        address_header("To", evil + "@example.com")


@given(st.text(max_size=200))
def test_whatever_the_subject_a_mail_has_only_our_headers(subject: str) -> None:
    try:
        letter = write(a_mail(subject=subject), sender=SENDER)
    except Unmailable:
        return
    read = message_from_bytes(letter.content, policy=policy.default)
    assert [name for name, _ in read.items()] == [
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Date",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]
    assert read.get_content() == "Hello\n"


@given(st.text('ab@.,;:<>()[]"\\ =?utf-8q_\r\n\té€\x00\u2028\ud800', max_size=14))
def test_whatever_the_recipient_there_is_one_header_or_none(to: str) -> None:
    try:
        rendered, bare = address_header("To", to)
    except Unmailable:
        return
    read = message_from_bytes(rendered.encode() + b"\r\n", policy=policy.default)
    assert read.keys() == ["To"]
    assert not set(bare) & set("\r\n\x00")


@given(st.from_regex(r"[!-~]([ -~]{0,58}[!-~])?", fullmatch=True))
def test_plain_headers_read_as_the_email_package_would_write_them(subject: str) -> None:
    try:
        folded = header("Subject", subject)
    except Unmailable:
        return
    read = message_from_bytes(folded.encode() + b"\r\n", policy=policy.default)
    assert read["Subject"] == policy.default.header_factory("Subject", subject)


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann.b+tag_1@mail.example.co.uk", "ann.b+tag_1@mail.example.co.uk"),
        ('"ann b"@example.com', '"ann b"@example.com'),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("ann@exämple.com", "ann@exämple.com"),
    ],
)
def test_recipient_is_one_address(to: str, recipient: str) -> None:
    rendered, bare = address_header("To", to)

    assert bare == recipient
    assert rendered.split() == ["To:", *to.split()]


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example.com, bob@example.com",
        "ann@example.com bob@example.com",
        "ann b@example.com",
        "ann..b@example.com",
        ".ann@example.com",
        "undisclosed:;",
        '"',
        "a;",
        "<>",
    ],
)
def test_anything_but_one_address_is_unmailable(to: str) -> None:
    with pytest.raises(Unmailable):
        address_header("To", to)


def test_only_an_address_beyond_ascii_asks_for_smtputf8() -> None:
    assert write(a_mail(subject="Grüße"), sender=SENDER).options == ()
    assert write(a_mail(to="jürgen@example.com"), sender=SENDER).options == ("SMTPUTF8",)


def a_mail(
    *,
    to: str = "ann@example.com",
    subject: str = "Your order is confirmed",
    text: str = "Hello\n",
) -> Mail:
    return Mail("o-1.order_confirmed@orderflow", to, subject, text)
