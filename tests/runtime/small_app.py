"""A small HTTP app that behaves, or misbehaves as its arguments say: `small_app.py PORT [how]`."""
# ruff: noqa: T201 - what it prints is its log

import asyncio
import os
import signal
import sys
from pathlib import Path


def begin(how: str) -> None:
    """Do what is wrong with this one before it serves."""
    print("starting", how, flush=True)
    if how == "exits":
        print("cannot find the settings module", flush=True)
        sys.exit(3)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "flood":
        for _ in range(3000):
            print("x" * 1000)
        print("y" * 100_000, flush=True)
    if how == "secret":
        print(f"connecting to {os.environ['DATABASE_URL']} with {os.environ['API_TOKEN']}", flush=True)
    if how == "writes":
        with Path("data.txt").open("a") as stream:
            stream.write("row\n")
        print("prepared:", Path("prepared.txt").read_text(), "uid", os.getuid(), flush=True)
    if how == "dies":  # healthy the first time, never again
        if Path("born.txt").exists():
            os._exit(9)
        Path("born.txt").touch()
    if how == "leaves" and os.fork() == 0:  # a child in a session of its own
        os.setsid()
        signal.pause()


async def serve(port: int, how: str) -> None:
    """Answer until SIGTERM."""
    stopping = asyncio.Event()
    if how != "stubborn":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = await asyncio.start_server(answer, "127.0.0.1", port + 20_000 if how == "elsewhere" else port)
    await stopping.wait()
    server.close()
    print("bye", flush=True)
    os._exit(0)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path, more = head.split()[1], ""
            status, body = "200 OK", os.environ.get("LABEL", "").encode()
            if (path == "/healthz" and HOW == "never") or path == "/error":
                status = "500 Internal Server Error"
            elif path.startswith("/slow"):
                await asyncio.sleep(float(path.partition("=")[2]))
            elif path == "/cookies":
                body = "\n".join(line for line in head.splitlines() if line.lower().startswith("cookie:")).encode()
                more = "set-cookie: prodsprints_session=forged\r\nset-cookie: cart=3\r\n"
            elif path == "/crash":
                os._exit(7)
            elif path == "/close":
                return
            elif path == "/broken":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin")
                await writer.drain()
                return
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


HOW = sys.argv[2] if len(sys.argv) > 2 else ""
begin(HOW)
asyncio.run(serve(int(sys.argv[1]), HOW))
