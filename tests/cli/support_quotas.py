"""What /v1 answers about quotas, for a double of the platform: one with a draft, and one that is kept by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

REQUEST: dict[str, Any] = {
    "id": "8a000000-0000-4000-8000-000000000001",
    "quota_id": "7a000000-0000-4000-8000-000000000001",
    "state": "drafted",
    "desired": 15000.0,
    "limit": 5000.0,
    "reason": "Network interfaces per Region: the limit is reached on 2026-12-08. We ask for 15,000.",
    "call": {"method": "POST", "url": "https://servicequotas.example/", "headers": {}, "body": {"DesiredValue": 15000}},
    "reaches": "2026-12-08T00:00:00.000Z",
    "provider_id": "",
    "provider_status": "",
    "trouble": "",
}
QUOTA: dict[str, Any] = {
    "id": REQUEST["quota_id"],
    "provider": "aws",
    "account": "123456789012",
    "region": "eu-central-1",
    "service": "vpc",
    "code": "L-DF5E4CA3",
    "name": "Network interfaces per Region",
    "unit": "",
    "source": "provider",
    "limit": 5000.0,
    "used": 4276.0,
    "state": "due",
    "outlook": "Reached on 2026-12-08.",
    "trouble": "",
    "reaches": "2026-12-08T00:00:00.000Z",
    "request": REQUEST,
}
SEATS: dict[str, Any] = QUOTA | {
    "id": "7a000000-0000-4000-8000-000000000002",
    "provider": "acme",
    "account": "team-7",
    "region": "",
    "service": "",
    "code": "seats",
    "name": "seats",
    "source": "hand",
    "request": None,
}


@cache
def answers() -> dict[tuple[str, str], tuple[int, Any]]:
    """By method and path, as `conftest.Double` knows its answers."""
    return {
        ("GET", "/v1/quotas"): (200, {"items": [QUOTA, SEATS], "next": None}),
        ("POST", "/v1/quotas"): (201, SEATS),
        ("GET", f"/v1/quotas/{QUOTA['id']}"): (200, QUOTA | {"days": [], "requests": [REQUEST]}),
        ("POST", f"/v1/quotas/{SEATS['id']}/use"): (200, SEATS),
        ("POST", f"/v1/quotas/{SEATS['id']}/limit"): (200, SEATS),
        ("POST", f"/v1/quota-requests/{REQUEST['id']}/send"): (200, REQUEST | {"state": "asked"}),
    }
