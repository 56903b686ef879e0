import pytest
from starlette.testclient import TestClient

from shop import VERSION
from shop.app import create_app


@pytest.fixture
def client(store):
    with TestClient(create_app(store)) as client:
        yield client


def test_the_storefront_shows_every_product_and_the_version(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "Notebook" in page.text
    assert "€ 14,90" in page.text
    assert VERSION in page.text


def test_names_are_escaped_on_the_page(client):
    assert "Ink &lt;blue&gt;" in client.get("/").text


def test_the_catalogue_lists_prices_in_cents(client):
    assert {"sku": "eraser", "name": "Eraser", "price_cents": 250} in client.get("/api/products").json()["products"]


def test_an_order_is_kept_and_answered_with_its_total(client, store):
    answer = client.post("/api/orders", json={"lines": [{"sku": "ink", "quantity": 2}]})
    assert answer.status_code == 201
    assert answer.json()["total_cents"] == 2500
    assert len(store.orders) == 1


def test_a_bad_order_is_refused_and_not_kept(client, store):
    assert client.post("/api/orders", json={"lines": [{"sku": "anvil", "quantity": 1}]}).status_code == 422
    assert client.post("/api/orders", content=b"\xff{").status_code == 422
    assert store.orders == []


def test_the_health_path_answers(client):
    assert client.get("/healthz").status_code == 200


def test_what_goes_wrong_is_answered_with_an_apology(client, store, monkeypatch):
    monkeypatch.delattr(store, "_products")
    answer = client.get("/")
    assert (answer.status_code, "went wrong" in answer.text) == (500, True)
