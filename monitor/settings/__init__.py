"""What an operator can set: `Settings`, one module for each of its tables, and where values come
from."""

from monitor.settings.whole import Settings, load_settings

__all__ = ["Settings", "load_settings"]
