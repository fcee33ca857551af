"""The operator's side of messaging, registered by importing it."""

from messaging.admin import providers, records

__all__ = ["providers", "records"]
