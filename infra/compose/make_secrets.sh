#!/bin/sh
# Make the passwords of infra/compose.yaml, at random, in infra/secrets, which git ignores; what is there already stays.
#
#   sh infra/compose/make_secrets.sh [FOLDER]
set -eu
folder=${1:-$(dirname "$0")/../secrets}
umask 077
mkdir -p "$folder"
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
if [ -e "$folder/client.env" ]; then
    echo "$folder stays as it is"
    exit
fi
database=$(password) s3=$(password)
printf '%s' "$database" > "$folder/database"
# The file is mounted as it is, and PostgreSQL is not root; nobody else can enter the folder.
chmod 644 "$folder/database"
printf 'PGUSER=mlflow\nPGPASSWORD=%s\n' "$database" > "$folder/database.env"
printf 'ROOT_ACCESS_KEY=mlflow\nROOT_SECRET_KEY=%s\n' "$s3" > "$folder/s3.env"
printf 'AWS_ACCESS_KEY_ID=mlflow\nAWS_SECRET_ACCESS_KEY=%s\n' "$s3" > "$folder/s3-client.env"
printf 'MLFLOW_AUTH_ADMIN_USERNAME=admin\nMLFLOW_AUTH_ADMIN_PASSWORD=%s\nMLFLOW_FLASK_SERVER_SECRET_KEY=%s\n' \
    "$(password)" "$(password)" > "$folder/admin.env"
printf 'MLFLOW_TRACKING_USERNAME=pipeline\nMLFLOW_TRACKING_PASSWORD=%s\n' "$(password)" > "$folder/client.env"
echo "$folder"
