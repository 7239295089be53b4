#!/bin/sh
# Make the passwords of an installation, at random, into a folder that git ignores; what is there already stays.
#
#   sh infra/kubernetes/make_secrets.sh infra/kubernetes/overlays/single-node/secrets
set -eu
folder=${1:?folder}
umask 077
mkdir -p "$folder"
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() {
    file=$folder/$1.env
    shift
    if [ -e "$file" ]; then
        echo "$file stays"
    else
        printf '%s\n' "$@" > "$file"
        echo "$file"
    fi
}
write mlflow-database PGUSER=mlflow "PGPASSWORD=$(password)"
write mlflow-admin MLFLOW_AUTH_ADMIN_USERNAME=admin "MLFLOW_AUTH_ADMIN_PASSWORD=$(password)" \
    "MLFLOW_FLASK_SERVER_SECRET_KEY=$(password)"
write mlflow-client MLFLOW_TRACKING_USERNAME=pipeline "MLFLOW_TRACKING_PASSWORD=$(password)"
