"""The Celery application. It wakes and paces work; what is to be done lies in the database (DESIGN.md)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
os.environ.setdefault("NOSETPS", "1")  # a process keeps the name by which the supervisor and `ps` know it

import crm.common.fsbroker  # noqa: F401 - registers the safefs:// transport

app = Celery("tarishi")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
