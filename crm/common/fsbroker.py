"""safefs://, a Celery broker of files for one host, so that a small installation needs no broker to install.

kombu's own filesystem transport writes a message in place, so a reader can meet half of one and die, and it keeps the
bindings of queues in files that two processes starting together overwrite for each other. Here a message appears
whole (written beside its name, then renamed), the process that removes it owns it, and there are no bindings: a Celery
queue is addressed by its own name. A folder that somebody deletes is made again.
"""

import os
from queue import Empty
from time import time_ns
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """One folder of messages, `<nanoseconds>_<random>.<queue>.msg`, oldest first."""

    supports_fanout = False

    def _queue_bind(self, exchange, routing_key, pattern, queue):
        """Nothing to keep: see `_lookup`."""

    def _lookup(self, exchange, routing_key, default=None):
        return [routing_key or default]

    def _put(self, queue, payload, **kwargs):  # type: ignore[override]  # kombu's own signatures disagree
        path = os.path.join(self.data_folder_out, f"{time_ns()}_{uuid4().hex}.{queue}.msg")
        draft = f"{path}.tmp"
        os.makedirs(self.data_folder_out, exist_ok=True)
        with open(draft, "wb") as handle:
            handle.write(str_to_bytes(dumps(payload)))
        os.replace(draft, path)

    def _get(self, queue, timeout=None):
        for name in sorted(self._waiting(queue)):
            path = os.path.join(self.data_folder_in, name)
            try:
                with open(path, "rb") as handle:
                    payload = handle.read()
                os.unlink(path)
            except FileNotFoundError:
                continue  # another process took it first
            return loads(bytes_to_str(payload))
        raise Empty

    def _size(self, queue):
        return len(self._waiting(queue))

    def _purge(self, queue):
        names = self._waiting(queue)
        for name in names:
            try:
                os.unlink(os.path.join(self.data_folder_in, name))
            except FileNotFoundError:
                continue
        return len(names)

    def _waiting(self, queue):
        try:
            names = os.listdir(self.data_folder_in)
        except FileNotFoundError:
            return []
        return [name for name in names if name.partition(".")[2] == f"{queue}.msg"]


class Transport(filesystem.Transport):
    Channel = Channel


TRANSPORT_ALIASES["safefs"] = "crm.common.fsbroker:Transport"
