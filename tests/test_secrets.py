"""No secret of anybody is in the tree: nothing that looks like a key but those of the tests."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from api import credentials
from tests.staff import ADMIN_API_KEY

ROOT = Path(__file__).parent.parent
# What is installed, runs or is cached here, and is no part of the tree.
LOCAL = {
    ".git",
    ".venv",
    ".env",
    ".local",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}

LOOKS_SECRET = re.compile(
    r"""
    (?:sk|rk|pk)_live_[0-9A-Za-z]{8,}          # Stripe's keys of real money
    | (?:sk|rk)_test_[0-9A-Za-z]{20,}
    | whsec_[0-9A-Za-z+/]{20,}                 # and what it signs webhooks with
    | of_live_[0-9A-Za-z]{49}                  # our own API keys
    | of_claim_[0-9a-f]{32}_[0-9a-f]{64}       # and claim tokens
    | (?:AKIA|ASIA)[0-9A-Z]{16}                # Amazon
    | gh[pousr]_[0-9A-Za-z]{36} | github_pat_[0-9A-Za-z_]{40,}
    | glpat-[0-9A-Za-z_-]{20} | xox[abprs]-[0-9A-Za-z-]{10,} | AIza[0-9A-Za-z_-]{35}
    | eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}    # a JWT
    | -----BEGIN[A-Z ]*\ PRIVATE\ KEY-----
    | \$argon2id\$v=\d+\$[^$\s]+\$[0-9A-Za-z+/]{8,}
    """,
    re.VERBOSE,
)
# They open what the tests make, and nothing else.
OF_THE_TESTS = {ADMIN_API_KEY, "of_live_bcEcCFBGFd31c2Egfbb22E2aC0chG0FFGE3hH0gHG2H37WTki"}


def texts() -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in LOCAL]
        for name in (name for name in files if name not in LOCAL):
            path = Path(folder, name)
            yield str(path.relative_to(ROOT)), path.read_text(errors="replace")


def test_nothing_in_the_tree_looks_like_a_secret() -> None:
    found = [
        (path, secret[0])
        for path, text in texts()
        for secret in LOOKS_SECRET.finditer(text)
        if secret[0] not in OF_THE_TESTS
    ]

    assert found == []


def test_a_key_of_ours_is_found() -> None:
    assert LOOKS_SECRET.search(f"Authorization: Bearer {credentials.mint()}")
