"""Tarishi, a self-hosted messaging CRM."""

__version__ = "0.1.0"
