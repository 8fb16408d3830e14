"""The names of the payment gateways in the settings, for processes that never call one."""

from collections.abc import Sequence

from ops.config import Settings


def names(settings: Settings) -> Sequence[str]:
    """Name the gateways, as `accounts` does, without making an adapter of any."""
    return settings.gateway_names
