#!/usr/bin/env bash
# A CSV file becomes a stream: a contract is drafted from it, its rows are taken in and counted again.
# Prints: balanced
set -euo pipefail

hotfire init stand
cd stand
hotfire simulate engine_telemetry --to burns.csv --hours 0.2

hotfire contract infer burns.csv --stream burns --save # a draft, in contracts/burns/v1.yaml: read it, mend it
hotfire contract lint burns

hotfire ingest burns --from burns.csv
hotfire sql "select engine_id, count(*) as n from burns group by all order by 1"
hotfire balance
