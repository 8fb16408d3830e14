"""What pages need of the settings, which are those of every process of the installation."""

from functools import cache

from ops.config import Settings, settings


@cache
def config() -> Settings:
    """Read the settings once."""
    return settings()
