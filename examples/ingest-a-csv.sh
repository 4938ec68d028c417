#!/usr/bin/env bash
# A CSV file becomes a stream: a contract is drafted from it, its rows are taken in and counted again.
# Prints: balanced
set -euo pipefail

hotfire init stand
cd stand
hotfire simulate engine_telemetry --to burns.csv --hours 0.2

mkdir -p contracts/burns
hotfire contract infer burns.csv --stream burns > contracts/burns/v1.yaml # a draft: read it, mend it
hotfire contract lint burns

hotfire ingest burns --from burns.csv
hotfire sql "select engine_id, count(*) as n from burns group by all order by 1"
hotfire balance
