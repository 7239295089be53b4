"""Make the pipeline's login at MLflow's server, or give it another password; the server is waited for.

MLFLOW_TRACKING_URI names the server, MLFLOW_AUTH_ADMIN_USERNAME and _PASSWORD its administrator, MLFLOW_TRACKING_USERNAME and
_PASSWORD the login.
"""

import os
import time

import requests

_INTERVAL, _PATIENCE = 3, 900
"""Seconds between two tries, and until the server counts as gone."""


def main() -> None:
    server = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
    admin = os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
    user = {"username": os.environ["MLFLOW_TRACKING_USERNAME"], "password": os.environ["MLFLOW_TRACKING_PASSWORD"]}
    _wait(server)
    users = f"{server}/api/2.0/mlflow/users"
    response = requests.get(f"{users}/get", params={"username": user["username"]}, auth=admin, timeout=60)
    if response.status_code == requests.codes.not_found:
        response = requests.post(f"{users}/create", json=user, auth=admin, timeout=60)
    else:
        response.raise_for_status()
        response = requests.patch(f"{users}/update-password", json=user, auth=admin, timeout=60)
    response.raise_for_status()
    print(f"{user['username']} can log in")


def _wait(server: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            requests.get(f"{server}/health", timeout=10).raise_for_status()
            return
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                raise
            print(f"waiting for {server}: {type(error).__name__}", flush=True)
            time.sleep(_INTERVAL)


if __name__ == "__main__":
    main()
