"""Runs the sandbox: python -m crm.sandbox --port 8001 --data var/sandbox.sqlite3. SIGTERM and SIGINT stop it."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable

from crm.sandbox import africastalking, api, daraja
from crm.sandbox.pages import Pages
from crm.sandbox.server import Answer, BadRequest, Request, Server
from crm.sandbox.smpp import Smsc
from crm.sandbox.smtp import Mailserver
from crm.sandbox.vendors import beem, infobip, kenyan, twilio, whatsapp
from crm.sandbox.world import World

NOT_FOUND = Answer(404, b"The sandbox has nothing at this address.")


async def run(host: str, port: int, data: str, smpp_port: int, smtp_port: int) -> None:
    """Serve until a signal. Prints the address, which scripts and tests wait for, once it answers."""
    world = World(data)
    pages = Pages(world)

    async def slower(request: Request) -> Answer:
        if request.method != "GET" and request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise BadRequest("Another web site may not change the sandbox.", 403)
        return await api.answer(world, request) or await pages.answer(request) or NOT_FOUND

    def handle(
        request: Request,
    ) -> Answer | Awaitable[Answer]:  # the carrier's answers need no waiting, so they cost no task
        for speak in (africastalking, daraja, beem, twilio, infobip, kenyan, whatsapp):
            if answer := speak.answer(world, request):
                return answer
        return slower(request)

    server, smsc, mailserver, stop = Server(handle), Smsc(world), Mailserver(world), asyncio.Event()
    world.smsc, world.mailserver = smsc, mailserver
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bound = await server.start(host, port)
    world.ports = {"smpp": await smsc.start(host, smpp_port), "smtp": await mailserver.start(host, smtp_port)}
    world.start()
    print(f"sandbox: http://{host}:{bound}/", flush=True)  # noqa: T201 - the one line of output
    try:
        await stop.wait()
    finally:
        await server.stop()
        await smsc.stop()
        await mailserver.stop()
        world.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crm.sandbox", description="The outside world in small.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="0 picks a free one (default %(default)s)")
    parser.add_argument("--smpp-port", type=int, default=0, help="for SMPP; 0 picks a free one (default)")
    parser.add_argument("--smtp-port", type=int, default=0, help="for mail; 0 picks a free one (default)")
    parser.add_argument("--data", default="var/sandbox.sqlite3", help="where messages are kept (default %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(run(options.host, options.port, options.data, options.smpp_port, options.smtp_port))
    except OSError as error:
        sys.exit(f"sandbox: cannot listen on {options.host}:{options.port} or a port beside it: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
