"""safefs://, a Celery broker of files for one host, so that a small installation needs no broker to install.

kombu's own filesystem transport writes a message in place, so a reader can meet half of one and die. Here a file
appears whole: it is written beside its name and then renamed.
"""

import os
from os.path import join
from time import time_ns
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


def _write_whole(path: str, text: str) -> None:
    draft = f"{path}.{uuid4().hex}.tmp"
    with open(draft, "wb") as handle:
        handle.write(str_to_bytes(text))
    os.replace(draft, path)


class Channel(filesystem.Channel):
    def _put(self, queue, payload, **kwargs):
        _write_whole(join(self.data_folder_out, f"{time_ns()}_{uuid4().hex}.{queue}.msg"), dumps(payload))

    def _queue_bind(self, exchange, routing_key, pattern, queue):
        self.control_folder.mkdir(parents=True, exist_ok=True)
        table = self.get_table(exchange)
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        if binding not in table:
            _write_whole(str(self._exchange_file(exchange)), dumps([binding, *table]))


class Transport(filesystem.Transport):
    Channel = Channel


TRANSPORT_ALIASES["safefs"] = "crm.common.fsbroker:Transport"
