"""The payment gateways of the settings: accounts by name, the preferred one first."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from ops.config import SettingInvalid, Settings
from workers.gateways.stripe import StripeGateway


def gateways(settings: Settings) -> Sequence[StripeGateway]:
    """Make an adapter for each account; raises SettingInvalid for an entry that is none."""
    entries = [entry.strip() for entry in settings.payment_gateways.split(",") if entry.strip()]
    if not entries:
        return [StripeGateway(settings, name="stripe")]
    made = [_gateway(settings, entry, number) for number, entry in enumerate(entries, start=1)]
    if len({gateway.name for gateway in made}) < len(made):
        raise SettingInvalid("PAYMENT_GATEWAYS: a name stands there twice; give each its own.")
    return made


def _gateway(settings: Settings, entry: str, number: int) -> StripeGateway:
    name, _, url = entry.partition("=")
    account = _account(url)
    if not name.isidentifier() or account is None:
        # The entry holds a secret, wherever it stands, so nothing of it is repeated.
        raise SettingInvalid(
            f"PAYMENT_GATEWAYS: entry {number} is none; write each as name=https://secret-key@host."
        )
    key, base = account
    own = msgspec.structs.replace(settings, stripe_api_key=key, stripe_api_base=base)
    return StripeGateway(own, name=name)


def _account(url: str) -> tuple[str, str] | None:
    """Split an account's URL into its key and its base URL; None if it has more or less."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return None
    more = parts.path.rstrip("/") or parts.query or parts.fragment
    if not parts.username or parts.password is not None or more:
        return None
    return parts.username, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
