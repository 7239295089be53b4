#!/bin/bash
# Write a copy of a PostgreSQL database into a folder, named by its time, and keep the newest of them.
#
#   database.sh DATABASE FOLDER [KEEP]     KEEP copies, 14 unless told; the server by PGHOST, PGUSER, PGPASSWORD
#
# A copy has its name once it is whole and pg_restore can list it.
set -euo pipefail
database=${1:?database} folder=${2:?folder} keep=${3:-14}
mkdir -p "$folder"
partial=$folder/.$database.partial
final=$folder/$database-$(date -u +%Y%m%dT%H%M%SZ).dump
pg_dump --format=custom --no-owner --no-privileges --file="$partial" "$database"
pg_restore --list "$partial" >/dev/null
sync "$partial"
mv "$partial" "$final"
find "$folder" -maxdepth 1 -name "$database-*.dump" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do rm "$old"; done
echo "$final"
