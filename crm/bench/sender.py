"""One sender process of a benchmark: says it is ready, waits for a line, sends what is queued, tells what it cost.

python -m crm.bench.sender ACCOUNT [SECONDS]      after so long it stops, whatever is left
"""

import os
import sys
import threading
import time

import django
import orjson


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    from django.db import connection

    from crm.bench.machine import Statements, peak_mib, process_cpu
    from crm.common.garbage import keep_what_is_loaded
    from messaging.sending.runner import send_waiting, stop_all

    keep_what_is_loaded()  # as a worker does
    backend = 0
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_backend_pid()")
            backend = cursor.fetchone()[0]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if len(sys.argv) > 2:
        timer = threading.Timer(float(sys.argv[2]), stop_all)
        timer.daemon = True
        timer.start()
    statements = Statements()
    began, cpu, theirs = time.time(), time.process_time(), process_cpu(backend) if backend else 0.0
    with connection.execute_wrapper(statements):
        count = send_waiting(account_id=int(sys.argv[1]))
    told = {
        "count": count,
        "began": began,
        "ended": time.time(),
        "cpu": time.process_time() - cpu + (process_cpu(backend) - theirs if backend else 0.0),
        "queries": statements.count,
        "peak": peak_mib(),
    }
    sys.stdout.write(orjson.dumps(told).decode() + "\n")


if __name__ == "__main__":
    main()
