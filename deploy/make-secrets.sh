#!/usr/bin/env bash
# Make up every secret that deploy/compose.yaml mounts and that is not there yet. What exists is kept.
#     bash deploy/make-secrets.sh [FOLDER]
set -euo pipefail
cd "${1:-$(dirname "$0")/secrets}"
umask 077

random() { openssl rand -hex 32; }
put() { [ -e "$1" ] || { printf '%s' "$2" >"$1"; printf 'made %s\n' "$1"; }; }

put airflow_database_password "$(random)"
put ledger_database_password "$(random)"
put redis_password "$(random)"
put api_secret_key "$(random)"
put jwt_secret "$(random)"
put fernet_key "$(openssl rand -base64 32 | tr '+/' '-_')"

airflow=$(cat airflow_database_password) ledger=$(cat ledger_database_password) redis=$(cat redis_password)
put airflow_database "postgresql+psycopg://airflow:$airflow@database:5432/airflow"
put airflow_database_async "postgresql+psycopg_async://airflow:$airflow@database:5432/airflow"
put result_backend "db+postgresql+psycopg://airflow:$airflow@database:5432/airflow"
put broker_url "redis://:$redis@redis:6379/0"
put redis.conf "requirepass $redis
save \"\"
dir /tmp
"
put ledger_database "postgresql://ledger:$ledger@ledger:5432/ledger"
put passwords.json "{\"operator\": \"$(random)\"}"

connections() {
    printf '{\n'
    printf '  "rebalancing_ledger": {"conn_type": "postgres", "host": "ledger", "port": 5432, "login": "ledger",\n'
    printf '    "password": "%s", "schema": "ledger"},\n' "$ledger"
    printf '  "alpaca": {"conn_type": "alpaca", "login": "", "password": "", "extra": {"account_id": ""}},\n'
    printf '%s  "circle": {"conn_type": "circle"}\n}\n' "$1"
}
put connections.json "$(connections '')"
put connections_with_key.json "$(connections '  "evm_wallet": {"conn_type": "evm", "login": "", "password": ""},
')"

# The containers run as a user whose group is 0: it has to read these files, and nobody else.
if [ "$(id -u)" = 0 ]; then
    chgrp 0 -- *
else
    printf 'now, as root: chgrp 0 %s/*\n' "$PWD"
fi
chmod 0440 -- *
chmod 0640 -- *.json
