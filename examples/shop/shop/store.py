"""Where the shop keeps its catalogue and orders: what any store does, and one that keeps them in memory."""

from collections.abc import Iterable
from typing import Protocol

from shop.domain import Order, Product


class Store(Protocol):
    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def products(self) -> list[Product]: ...

    async def place(self, order: Order, total_cents: int) -> int:
        """Keep the order, and return its number."""
        ...


class MemoryStore:
    """Keeps everything until the process ends: for a look at the shop without a database."""

    def __init__(self, products: Iterable[Product]) -> None:
        self._products = list(products)
        self.orders: list[tuple[Order, int]] = []

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def products(self) -> list[Product]:
        return self._products

    async def place(self, order: Order, total_cents: int) -> int:
        self.orders.append((order, total_cents))
        return len(self.orders)
