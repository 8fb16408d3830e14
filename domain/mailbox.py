"""Mailboxes: which addresses most likely lead to the same person."""

# Google's own words: dots in the part before the @ do not matter, and both domains are one.
_DOTLESS = frozenset({"gmail.com", "googlemail.com"})
_GMAIL = "gmail.com"


def mailbox(email: str) -> str:
    """Give one spelling for the addresses that whoever counts customers takes for one.

    What follows a plus is a label at all large providers. It is a guess: never send mail there,
    and let nobody in by it.
    """
    local, _, domain = email.lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        return f"{local.replace('.', '')}@{_GMAIL}"
    return f"{local}@{domain}"
