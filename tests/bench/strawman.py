"""What people write first: Django REST framework, one insert, one Celery task and one `requests.post` a message.

`manage.py bench` measures it beside the product, on the same database server, broker, carrier and machine. Its
processes read STRAWMAN_DATABASE, STRAWMAN_BROKER and STRAWMAN_CARRIER from the environment:

    granian --interface wsgi tests.bench.strawman:application          the API
    celery -A tests.bench.strawman worker                              the sender
    main(["prepare"]), main(["queue", N])                              its table; N messages and tasks
"""

import os

import django
import environ
import requests
from celery import Celery
from django.conf import settings

environment = environ.Env()
BROKER = os.environ.get("STRAWMAN_BROKER", "memory://")

if not settings.configured:
    settings.configure(
        SECRET_KEY="strawman-of-a-benchmark",
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": environment.db_url("STRAWMAN_DATABASE", default="sqlite://:memory:")},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": []},
    )
    settings.DATABASES["default"]["CONN_MAX_AGE"] = 600
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        settings.DATABASES["default"]["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
    django.setup()

# Only now can what needs settings be imported.
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.generics import CreateAPIView  # noqa: E402

app = Celery("strawman", broker=BROKER)
app.conf.task_ignore_result = True
app.conf.task_default_queue = "strawman"  # a broker may be shared: purged is this queue alone
if BROKER.startswith("filesystem://"):
    folder = os.environ["STRAWMAN_FOLDER"]
    app.conf.broker_transport_options = {
        "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder,
    }  # fmt: skip


class Message(models.Model):
    recipient = models.CharField(max_length=20)
    text = models.TextField()
    status = models.CharField(max_length=10, default="queued", db_index=True)
    provider_id = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "strawman"
        db_table = "strawman_message"


class MessageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Message
        fields = ("id", "recipient", "text", "status")
        read_only_fields = ("status",)


@app.task(name="strawman.send")
def send(pk: int) -> None:
    message = Message.objects.get(pk=pk)
    form = {"username": "bench", "to": message.recipient, "message": message.text}
    answer = requests.post(f"{os.environ['STRAWMAN_CARRIER']}/version1/messaging", data=form, timeout=30)
    row = answer.json()["SMSMessageData"]["Recipients"][0]
    message.status, message.provider_id = "sent", row["messageId"]
    message.save(update_fields=["status", "provider_id"])


class SendView(CreateAPIView):
    queryset = Message.objects.all()
    serializer_class = MessageSerializer

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        send.delay(serializer.save().pk)


urlpatterns = [path("send", SendView.as_view())]
application = get_wsgi_application()


def main(words: list[str]) -> None:
    print("began", flush=True)  # noqa: T201 - to whoever measures
    if words[0] == "prepare":
        with connection.schema_editor() as editor:
            editor.create_model(Message)
    elif words[0] == "queue":
        for number in range(int(words[1])):
            row = Message.objects.create(recipient=f"+2547{number:08d}", text=f"Dear Person {number}, fees are due")
            send.delay(row.pk)
