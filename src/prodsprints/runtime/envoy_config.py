"""What Envoy is told, as plain documents: its bootstrap, and one cluster, listener and route at a time."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from prodsprints.runtime.values import Arm

NODE_ID = "prodsprints"
RELEASE_HEADER = "x-prodsprints-release"
BROKEN_COUNTER = "broken.responses"

_MAX_CONNECTIONS = 8192
_MAX_HEAP_BYTES = 512 * 1024**2
_BUFFER_BYTES = 1024**2
_IDLE_REQUEST_SECONDS = 60

_CORE = "type.googleapis.com/envoy.config"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_OWN_COOKIES = resources.files("prodsprints.runtime").joinpath("own_cookies.lua").read_text(encoding="utf-8")
_MONITORS = f"{_EXTENSIONS}.resource_monitors"


def bootstrap(directory: Path, admin_socket: Path) -> dict[str, Any]:
    """Where Envoy finds its files in `directory` and offers its administration, and what it may use at most."""
    return {
        "node": {"id": NODE_ID, "cluster": NODE_ID},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "stats_flush_interval": "1s",  # quantiles are as old as the last flush
        "dynamic_resources": {
            "cds_config": _from_file(directory / "clusters.json"),
            "lds_config": _from_file(directory / "listeners.json"),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": _MAX_CONNECTIONS,
                    },
                },
                {
                    "name": "envoy.resource_monitors.fixed_heap",
                    "typed_config": {
                        "@type": f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig",
                        "max_heap_size_bytes": _MAX_HEAP_BYTES,
                    },
                },
            ],
            "actions": [
                _above("envoy.overload_actions.shrink_heap", 0.9),
                _above("envoy.overload_actions.stop_accepting_requests", 0.97),
            ],
        },
    }


def cluster(instance: str, port: int) -> dict[str, Any]:
    """One instance as a destination."""
    endpoint = {"endpoint": {"address": _loopback(port)}}
    return {
        "@type": f"{_CORE}.cluster.v3.Cluster",
        "name": instance,
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "load_assignment": {"cluster_name": instance, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _MAX_CONNECTIONS,
                    "max_pending_requests": _MAX_CONNECTIONS,
                    "max_requests": _MAX_CONNECTIONS,
                    "max_retries": 64,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                # Below every server's keep-alive, so that no request meets a connection that is just being closed.
                "common_http_protocol_options": {"idle_timeout": "1s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def listener(port: int, directory: Path) -> dict[str, Any]:
    """One environment's port, answering by the route in its own file."""
    return {
        "@type": f"{_CORE}.listener.v3.Listener",
        "name": f"port-{port}",
        "address": _loopback(port),
        # With SO_REUSEPORT a second Envoy would silently share the port instead of failing.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _http(port, directory),
                    }
                ]
            }
        ],
    }


def route(port: int, arms: Sequence[Arm]) -> dict[str, Any]:
    """Which share of the requests to `port` goes to which arm."""
    return {
        "@type": f"{_CORE}.route.v3.RouteConfiguration",
        "name": f"port-{port}",
        # Who was answered by which version is ours to say, not the client's.
        "request_headers_to_remove": [RELEASE_HEADER],
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "route": {
                            "weighted_clusters": {"clusters": [_share(arm) for arm in arms if arm.weight]},
                            # No bound on a whole response, which may be a stream; one on silence, below.
                            "timeout": "0s",
                            "retry_policy": {
                                "retry_on": "connect-failure,reset-before-request",
                                "num_retries": 1,
                                "per_try_idle_timeout": f"{_IDLE_REQUEST_SECONDS}s",
                            },
                        },
                    }
                ],
            }
        ],
    }


def _http(port: int, directory: Path) -> dict[str, Any]:
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"port-{port}",
        "rds": {"route_config_name": f"port-{port}", "config_source": _from_file(directory / f"route-{port}.json")},
        "use_remote_address": True,
        "normalize_path": True,
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": "10s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [_broken_responses()],
        "http_filters": [
            {
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": _OWN_COOKIES},
                },
            },
            {
                "name": "envoy.filters.http.router",
                # x-envoy-upstream-service-time stays: it tells an application's own 5xx from Envoy's
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            },
        ],
    }


def _broken_responses() -> dict[str, Any]:
    """Count, per arm, responses that began well and then broke off; Envoy's own counters call them successes.

    (Resets and time-outs before the response's head become 502, 503 and 504, and are in `upstream_rq_5xx`.)
    """
    below_500 = {"comparison": {"op": "LE", "value": {"default_value": 499, "runtime_key": "unused"}}}
    flags = ["UC", "UR", "UT", "LR", "SI", "UPE"]
    return {
        "name": "broken",
        "filter": {
            "and_filter": {
                "filters": [{"status_code_filter": below_500}, {"response_flag_filter": {"flags": flags}}],
            }
        },
        "typed_config": {
            "@type": f"{_EXTENSIONS}.access_loggers.stats.v3.Config",
            "stat_prefix": BROKEN_COUNTER.partition(".")[0],
            "counters": [
                {
                    "stat": {
                        "name": BROKEN_COUNTER.partition(".")[2],
                        "tags": [{"name": "arm", "value_format": "%UPSTREAM_CLUSTER%"}],
                    },
                    "value_fixed": 1,
                }
            ],
        },
    }


def _share(arm: Arm) -> dict[str, Any]:
    # "%" begins a command in Envoy's header values.
    header = {"key": RELEASE_HEADER, "value": arm.label.replace("%", "%%")}
    return {
        "name": arm.instance,
        "weight": arm.weight,
        "response_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _from_file(path: Path) -> dict[str, Any]:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _above(action: str, share: float) -> dict[str, Any]:
    threshold = {"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": share}}
    return {"name": action, "triggers": [threshold]}
