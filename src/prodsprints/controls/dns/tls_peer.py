"""A TLS server in a process of its own, for the drill of pinned addresses: one listener for each certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def main() -> None:
    """Serve a port for each PEM file named (key and chain), until killed; say their numbers as a line of JSON."""
    asyncio.run(_serve(sys.argv[1:]))


async def _serve(files: list[str]) -> None:
    servers = []
    for file in files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        servers.append(await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context))
    sys.stdout.write(json.dumps([server.sockets[0].getsockname()[1] for server in servers]) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # who does not like our certificate hangs up
    finally:
        writer.close()


if __name__ == "__main__":
    main()
