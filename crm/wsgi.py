"""WSGI entry point, for granian or any other server; begins what each of its processes does beside answering."""

from crm.application import application
from messaging.services.network_ranges import keep_network_ranges

__all__ = ["application"]

keep_network_ranges()
