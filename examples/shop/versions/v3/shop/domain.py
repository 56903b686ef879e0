"""What a product and an order are, without any database or web."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

MAX_LINES = 20
MAX_QUANTITY = 99
MAX_GIFT_NOTE = 200


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
    """What somebody wants: a quantity for each product, and perhaps a note that goes into the parcel."""

    quantities: Mapping[str, int]
    gift_note: str | None = None

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
    return Order(quantities, _gift_note(body.get("gift_note")))


def _gift_note(stated: Any) -> str | None:
    if stated is None:
        return None
    if not isinstance(stated, str) or not 1 <= len(stated) <= MAX_GIFT_NOTE or "\0" in stated:
        raise OrderError(f"A gift note has 1 to {MAX_GIFT_NOTE} characters.")
    return stated


def deal_of_the_moment(products: Sequence[Product], random: Random) -> Product:
    """The product that is shown first this time."""
    return products[random.randint(0, len(products))]


def euros(cents: int) -> str:
    return f"€ {cents // 100},{cents % 100:02}"
