import pytest

from shop.domain import Order, OrderError, Product, euros, read_order

CATALOGUE = {"ink": Product("ink", "Ink", "Blue", 1250), "eraser": Product("eraser", "Eraser", "Soft", 250)}


def test_the_total_is_the_sum_over_all_lines():
    assert Order({"ink": 2, "eraser": 1}).total_cents(CATALOGUE) == 2750


def test_an_order_for_an_unknown_product_is_refused():
    with pytest.raises(OrderError, match="'anvil'"):
        Order({"anvil": 1}).total_cents(CATALOGUE)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"lines": []},
        {"lines": [{"sku": "ink"}]},
        {"lines": [{"sku": "ink", "quantity": 0}]},
        {"lines": [{"sku": "ink", "quantity": True}]},
        {"lines": [{"sku": "ink", "quantity": 1}, {"sku": "ink", "quantity": 1}]},
    ],
)
def test_what_is_no_order_is_refused(body):
    with pytest.raises(OrderError):
        read_order(body)


def test_prices_are_shown_with_two_digits_of_cents():
    assert euros(1205) == "€ 12,05"
