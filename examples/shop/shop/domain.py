"""What a product and an order are, without any database or web."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_LINES = 20
MAX_QUANTITY = 99


class OrderError(ValueError):
    """The order cannot be meant as it stands."""


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    description: str
    price_cents: int

    @property
    def price(self) -> str:
        return euros(self.price_cents)


@dataclass(frozen=True)
class Order:
    """What somebody wants: a quantity for each product."""

    quantities: Mapping[str, int]

    def total_cents(self, catalogue: Mapping[str, Product]) -> int:
        """The sum over all lines. Raises OrderError for a product that is not sold here."""
        unknown = sorted(set(self.quantities) - set(catalogue))
        if unknown:
            raise OrderError(f"There is no product {unknown[0]!r}.")
        return sum(catalogue[sku].price_cents * quantity for sku, quantity in self.quantities.items())


def read_order(body: Any) -> Order:
    """An order from its JSON form. Raises OrderError with what is wrong."""
    lines = body.get("lines") if isinstance(body, dict) else None
    if not isinstance(lines, list) or not 1 <= len(lines) <= MAX_LINES:
        raise OrderError(f"An order has 1 to {MAX_LINES} lines.")
    quantities: dict[str, int] = {}
    for line in lines:
        sku, quantity = (line.get("sku"), line.get("quantity")) if isinstance(line, dict) else (None, None)
        if not isinstance(sku, str) or type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
            raise OrderError(f"A line has a sku and a quantity from 1 to {MAX_QUANTITY}.")
        if sku in quantities:
            raise OrderError(f"The product {sku!r} stands in two lines.")
        quantities[sku] = quantity
    return Order(quantities)


def euros(cents: int) -> str:
    return f"€ {cents // 100},{cents % 100:02}"
