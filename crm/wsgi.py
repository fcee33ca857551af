"""WSGI entry point, for granian or any other server."""

import os

from django.core.wsgi import get_wsgi_application

from crm.charsets import KnownCharsets
from crm.chunked import MeasuredBodies
from crm.whole_answers import WholeAnswers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
application = KnownCharsets(MeasuredBodies(WholeAnswers(get_wsgi_application())))

from messaging.services.network_ranges import keep_network_ranges  # noqa: E402 - models exist only now

keep_network_ranges()
