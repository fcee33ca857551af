"""Log lines as JSON objects, one a line, for LOG_FORMAT=json: what happened, and to whom it belongs.

Every line has time, level, logger and message, and where they are known request, client, key, task and task_name; and
whatever the caller passed as `extra` (message_id, account_id, …).
"""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson
from celery import current_task

from crm.common.acting import current_ids

_USUAL = set(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "request",
    "status_code",
    "server",
}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON. Values that JSON does not know are written as their text."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= current_ids() | _task_ids()
        line |= {name: value for name, value in record.__dict__.items() if name not in _USUAL}
        if isinstance(status := record.__dict__.get("status_code"), int):
            line["status"] = status
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _task_ids() -> dict[str, str]:
    task = current_task
    if not task or not task.request.id:
        return {}
    return {"task": task.request.id, "task_name": task.name}
