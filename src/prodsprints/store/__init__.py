"""PostgreSQL for the other rooms: embedded or yours, migrations, tenants, the durable engine."""
