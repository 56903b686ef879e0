"""The store that lasts: PostgreSQL, by a small pool of connections."""

import time

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from shop.domain import Order, Product

_CATALOGUE_SECONDS = 1.0
_START_SECONDS = 10.0


class PostgresStore:
    """Reads the catalogue at most once a second; writes each order in one transaction."""

    def __init__(self, url: str) -> None:
        self._pool = AsyncConnectionPool(url, min_size=1, max_size=4, timeout=5, open=False)
        self._products: list[Product] = []
        self._read_at = float("-inf")

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=_START_SECONDS)

    async def close(self) -> None:
        await self._pool.close()

    async def products(self) -> list[Product]:
        if time.monotonic() - self._read_at > _CATALOGUE_SECONDS:
            async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Product)) as cursor:
                await cursor.execute("SELECT sku, name, description, price_cents FROM products ORDER BY name")
                self._products = await cursor.fetchall()
            self._read_at = time.monotonic()
        return self._products

    async def place(self, order: Order, total_cents: int) -> int:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "INSERT INTO orders (total_cents, gift_note) VALUES (%s, %s) RETURNING id",
                (total_cents, order.gift_note),
            )
            (number,) = await cursor.fetchone() or (0,)
            await connection.execute(
                "INSERT INTO order_lines (order_id, sku, quantity, price_cents)"
                " SELECT %s, wanted.sku, wanted.quantity, products.price_cents"
                " FROM unnest(%s::varchar[], %s::integer[]) AS wanted (sku, quantity) JOIN products USING (sku)",
                (number, list(order.quantities), list(order.quantities.values())),
            )
        return number
