import pytest

from shop.domain import Product
from shop.store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(
        [
            Product("notebook", "Notebook", "Lies flat", 1490),
            Product("ink", "Ink <blue>", "Dries quickly", 1250),
            Product("eraser", "Eraser", "Leaves the paper as it was", 250),
        ]
    )
