"""WSGI entry point, for granian or any other server."""

import os

from django.core.wsgi import get_wsgi_application

from crm.chunked import MeasuredBodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
application = MeasuredBodies(get_wsgi_application())
