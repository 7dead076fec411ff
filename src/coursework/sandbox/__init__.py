"""Engines that are thrown away: one for each submission that an instructor grades."""

from coursework.sandbox.fleet import Fleet
from coursework.sandbox.opening import open_fleet
from coursework.sandbox.sandbox import Sandbox, SandboxLimits

__all__ = ["Fleet", "Sandbox", "SandboxLimits", "open_fleet"]
