"""What the server runs: the shop on PostgreSQL."""

from shop.app import create_app
from shop.postgres import PostgresStore
from shop.settings import database_url

app = create_app(PostgresStore(database_url()))
