#!/usr/bin/env bash
# Devices of two generations in one stream: version 2 of the contract has a lens that makes rows of version 1 its own.
# Prints: 1,,21.5
set -euo pipefail

hotfire init ws --template fleet # contracts/events/v1.yaml and v2.yaml
cd ws
cat > events.jsonl <<'JSON'
{"event_id": "a", "device_id": "d1", "timestamp": "2026-05-01T08:00:00Z", "temperature": 21.5, "humidity": 40, "pressure": 1001, "battery": 90}
{"event_id": "b", "device_id": "d2", "timestamp": "2026-05-01T08:00:00Z", "temperature": 19.0, "humidity": 45, "pressure": 1002, "battery": 80, "schema_version": 2, "location": {"lat": 48.1, "lon": 11.5}}
JSON
hotfire ingest events --from events.jsonl
hotfire sql "select schema_version, lat, temperature from events order by event_id" --csv
