"""The catalogue with its first products, and orders."""

from alembic import op
from sqlalchemy import Column, Integer, String, column, table, text

revision = "0001"
down_revision = None

PRODUCTS = [
    ("notebook-a5", "Notebook A5, dotted", "192 pages that lie flat, thread-bound", 1490),
    ("notebook-a6", "Notebook A6, plain", "Fits the pocket it is meant for", 990),
    ("fountain-pen", "Fountain pen, fine", "Steel nib, piston filler", 4900),
    ("ink-blue", "Ink, midnight blue", "50 ml, dries in nine seconds", 1250),
    ("ink-green", "Ink, fir green", "50 ml, for margins and corrections", 1250),
    ("pencil-set", "Pencils, set of six", "Cedar, 2H to 4B", 1180),
    ("eraser", "Eraser", "Leaves the paper as it was", 250),
    ("sharpener", "Brass sharpener", "The last one to buy", 890),
    ("ruler", "Steel ruler, 30 cm", "Etched, not printed", 1390),
    ("washi-tape", "Washi tape, three rolls", "Comes off again", 690),
    ("envelopes", "Envelopes, C6", "Twenty-five, lined", 850),
    ("letter-paper", "Letter paper, A5", "Fifty sheets, 100 g", 1150),
    ("desk-mat", "Desk mat, felt", "70 × 40 cm, grey", 3900),
    ("pen-tray", "Pen tray, oak", "Oiled, from one piece", 2900),
    ("bookmark", "Bookmark, linen", "Woven edge", 450),
    ("planner", "Week planner", "Undated, 54 weeks", 1690),
    ("index-cards", "Index cards, A6", "One hundred, ruled", 590),
    ("brush-pen", "Brush pen", "Soft tip, refillable", 1350),
    ("blotter", "Blotting paper", "Ten sheets, A5", 520),
]


def upgrade() -> None:
    op.create_table(
        "products",
        Column("sku", String, primary_key=True),
        Column("name", String, nullable=False),
        Column("description", String, nullable=False),
        Column("price_cents", Integer, nullable=False),
    )
    op.execute(
        text(
            "CREATE TABLE orders ("
            " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " total_cents integer NOT NULL CHECK (total_cents > 0),"
            " placed_at timestamptz NOT NULL DEFAULT now())"
        )
    )
    op.execute(
        text(
            "CREATE TABLE order_lines ("
            " order_id bigint NOT NULL REFERENCES orders,"
            " sku varchar NOT NULL REFERENCES products,"
            " quantity integer NOT NULL CHECK (quantity > 0),"
            " price_cents integer NOT NULL,"
            " PRIMARY KEY (order_id, sku))"
        )
    )
    products = table(
        "products",
        column("sku", String),
        column("name", String),
        column("description", String),
        column("price_cents", Integer),
    )
    keys = ("sku", "name", "description", "price_cents")
    op.bulk_insert(products, [dict(zip(keys, product, strict=True)) for product in PRODUCTS])
