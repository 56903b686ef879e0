"""The shop's pages and API over any store."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import JSONDecodeError
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shop import VERSION
from shop.domain import OrderError, read_order
from shop.store import Store

_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, auto_reload=False)


def create_app(store: Store) -> Starlette:
    """The application; the store is opened before the first request and closed after the last."""
    page = _PAGES.get_template("storefront.html")

    async def storefront(_: Request) -> Response:
        return HTMLResponse(page.render(products=await store.products(), version=VERSION))

    async def products(_: Request) -> Response:
        found = [{"sku": p.sku, "name": p.name, "price_cents": p.price_cents} for p in await store.products()]
        return JSONResponse({"version": VERSION, "products": found})

    async def place_order(request: Request) -> Response:
        try:
            order = read_order(await request.json())
            catalogue = {product.sku: product for product in await store.products()}
            total_cents = order.total_cents(catalogue)
        except (OrderError, JSONDecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        number = await store.place(order, total_cents)
        return JSONResponse({"order": number, "total_cents": total_cents}, status_code=201)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse(f"ok {VERSION}\n")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.close()

    return Starlette(
        routes=[
            Route("/", storefront),
            Route("/api/products", products),
            Route("/api/orders", place_order, methods=["POST"]),
            Route("/healthz", healthz),
        ],
        middleware=[Middleware(_Apology)],
        lifespan=lifespan,
    )


class _Apology:
    """Answers 500 for what went wrong, and leaves the connection usable for the next request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            if scope["type"] != "http":
                raise
            logging.getLogger("uvicorn.error").exception("%s %s failed", scope["method"], scope["path"])
            sorry = PlainTextResponse("Something went wrong here. Nothing was ordered; please try again.\n", 500)
            await sorry(scope, receive, send)
