"""PostgreSQL for every other room: embedded or yours, migrations, tenants and row-level security, the durable engine."""
