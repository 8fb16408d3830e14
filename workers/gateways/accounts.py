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
    made = [_gateway(settings, entry) for entry in entries]
    if len({gateway.name for gateway in made}) < len(made):
        raise SettingInvalid("PAYMENT_GATEWAYS: a name stands there twice; give each its own.")
    return made


def _gateway(settings: Settings, entry: str) -> StripeGateway:
    name, _, url = entry.partition("=")
    parts = urlsplit(url)
    if not name.isidentifier() or not parts.hostname or not parts.username:
        # The entry holds a secret, so it is not repeated.
        raise SettingInvalid(
            f"PAYMENT_GATEWAYS: write each as name=https://secret-key@host, not {name[:20]!r}..."
        )
    host = parts.netloc.rpartition("@")[2]
    account = msgspec.structs.replace(
        settings, stripe_api_key=parts.username, stripe_api_base=f"{parts.scheme}://{host}"
    )
    return StripeGateway(account, name=name)
