"""The application as the web server has it. Made once, before the server forks its workers (crm/webserver.py)."""

import os

from django.core.wsgi import get_wsgi_application

from crm.charsets import KnownCharsets
from crm.chunked import MeasuredBodies
from crm.whole_answers import WholeAnswers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
application = KnownCharsets(MeasuredBodies(WholeAnswers(get_wsgi_application())))
