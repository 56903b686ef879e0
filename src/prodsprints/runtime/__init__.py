"""One machine's node agent: it owns processes, Envoy, routes and local files."""
