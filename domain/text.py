"""Text on one line, which cannot change what stands around it in a mail, a label or a list."""

from typing import Annotated

from msgspec import Meta

# Not blank, and without what breaks a line (C0, C1, U+2028, U+2029) or turns the direction of
# what follows (Unicode's Bidi_Control).
ONE_LINE = (
    r"^(?!\s*\Z)[^\u0000-\u001f\u007f-\u009f\u2028\u2029"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*\Z"
)
ON_ONE_LINE = "text on one line, without line breaks and other control characters"

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=ONE_LINE, description=ON_ONE_LINE)]

# As above, but that lines and tabs may be in it.
PROSE = (
    r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*\Z"
)
Prose = Annotated[
    str,
    Meta(
        max_length=10_000,
        pattern=PROSE,
        description="text of up to 10,000 characters, without control characters but line feeds",
    ),
]
