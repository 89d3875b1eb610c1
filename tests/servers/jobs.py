"""Ray's job server with one job in it, which has ended: its state and its log."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from aiohttp import web

JOB = "search-1"
LOG = "round 1\nPerformance gap recovered on the test split\n"


def _application(status: str, exit_code: int) -> web.Application:
    async def version(_request: web.Request) -> web.Response:
        return web.json_response({"ray_version": ray.__version__, "version": "4"})

    async def details(request: web.Request) -> web.Response:
        if request.match_info["job"] != JOB:
            return web.Response(status=404, text="no such job")
        fields = {"type": "SUBMISSION", "submission_id": JOB, "entrypoint": "python -m search"}
        return web.json_response(fields | {"status": status, "driver_exit_code": exit_code})

    async def tail(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(LOG)
        await socket.close()
        return socket

    application = web.Application()
    application.add_routes(
        [
            web.get("/api/version", version),
            web.get("/api/jobs/{job}", details),
            web.get("/api/jobs/{job}/logs/tail", tail),
        ]
    )
    return application


@contextmanager
def job_server(*, status: str, exit_code: int) -> Iterator[str]:
    """The address of a server whose job JOB ended so."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(_application(status, exit_code))
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
