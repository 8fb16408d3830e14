"""The outside, as workers see it: the sandbox, and stand-ins that do as a test says."""

from tests.bank import bank
from tests.outside import outside, start
from tests.postbox import postbox

__all__ = ["bank", "outside", "postbox", "start"]
