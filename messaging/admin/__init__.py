"""The operator's side of messaging, registered by importing it."""

from messaging.admin import inbound, providers, records

__all__ = ["inbound", "providers", "records"]
