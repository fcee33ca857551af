"""The operator's side of messaging, registered by importing it."""

from messaging.admin import inbound, incidents, providers, records

__all__ = ["inbound", "incidents", "providers", "records"]
