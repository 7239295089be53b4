#!/bin/bash
# Restore a copy that database.sh has made into a database without tables; all of it, or nothing.
#
#   restore.sh COPY.dump DATABASE     the server by PGHOST, PGUSER, PGPASSWORD
#
# The artifacts come back by artifacts.py, with the places the other way round.
set -euo pipefail
copy=${1:?copy} database=${2:?database}
tables=$(psql --no-psqlrc --tuples-only --no-align --dbname "$database" \
    --command "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
if [ "$tables" -ne 0 ]; then
    echo "The database $database has $tables tables: restore into one that is empty." >&2
    exit 2
fi
pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname "$database" "$copy"
echo "$database is as it was in $copy"
