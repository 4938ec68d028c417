#!/usr/bin/env bash
# Rows without a time zone wait in quarantine; the contract names the zone, and a replay takes them in.
# Prints: still open: 11
set -euo pipefail

hotfire init stand --template engines
cd stand
hotfire simulate engine_telemetry --to incoming/burn-1.csv --hours 0.2
hotfire ingest engine_telemetry
hotfire quarantine stats

contract=contracts/engine_telemetry/v1.yaml
zone='        customProperties: [{property: hotfire.zone, value: UTC}]'
awk -v zone="$zone" '{ print } /description: When the reading was taken/ { print zone }' $contract > mended.yaml
mv mended.yaml $contract
hotfire contract lint

hotfire quarantine replay engine_telemetry --check event_time.time
hotfire balance
open=$(hotfire quarantine stats --json | python -c 'import json, sys; print(json.load(sys.stdin)["total"])')
echo "still open: $open"
