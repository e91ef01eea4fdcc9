#!/usr/bin/env bash
# Install what Ballast needs into .venv and node_modules: exact versions, checked against their hashes.
# The second time it only compares checksums. PYTHON=... chooses the interpreter.
#
#   scripts/setup.sh                  install
#   scripts/setup.sh --find-python    only print which interpreter would be used
set -euo pipefail
cd "$(dirname "$0")/.."

python_inputs=(requirements.lock requirements-uv.txt requirements-specs.txt
    providers/ballast/pyproject.toml providers/ballast/src/ballast_provider/*.py)
node_inputs=(package.json package-lock.json)
python_stamp=.venv/.ready
node_stamp=node_modules/.ready

stop() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# Whether a set of files is what it was when the stamp was written. The place counts too: a virtual
# environment that was moved or copied does not work.
checksum() { { pwd; cksum "$@"; } | cksum; }
is_ready() { [ -f "$1" ] && [ "$(cat "$1")" = "$(checksum "${@:2}")" ]; }

# Run a step with its output in a log, and say every ten seconds that it is still running.
step() {
    local what=$1 log=.run/setup.log started=$SECONDS pid
    shift
    mkdir -p .run
    printf -- '- %s\n' "$what"
    "$@" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if (( SECONDS - started >= 10 )) && (( (SECONDS - started) / 10 > ${said:-0} )); then
            said=$(( (SECONDS - started) / 10 ))
            printf '  still running, %s s\n' "$(( SECONDS - started ))"
        fi
    done
    said=0
    if ! wait "$pid"; then
        tail -n 25 "$log" >&2
        stop "this failed: $what" "the whole output is in $log"
    fi
}

# A name can be on the path and still not run (a version manager's shim), so each is tried.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[123]*/bin/python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
            >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return
        fi
    done
    stop "no Python 3.11, 3.12 or 3.13 with its venv module was found" \
        "install one (Debian: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3"
}

make_venv() {
    local python
    python=$(find_python)
    step "making .venv with $("$python" --version)" "$python" -m venv --clear .venv
}

install_python() {
    local venv=.venv/bin/python count
    if ! "$venv" -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
        [ "$(.venv/bin/pip --version 2>/dev/null | grep -c "$PWD/.venv")" = 0 ]; then
        make_venv
    fi
    count=$(grep -c '^[a-z0-9].*==' requirements.lock)
    step "installing the installer" "$venv" -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r requirements-uv.txt
    step "installing $count Python packages" .venv/bin/uv pip install --python "$venv" \
        --require-hashes -r requirements.lock
    step "installing the API description that tests are held against" .venv/bin/uv pip install --python "$venv" \
        --no-deps --require-hashes -r requirements-specs.txt
    step "installing Ballast's connection types" .venv/bin/uv pip install --python "$venv" \
        --offline --no-deps --no-build-isolation --reinstall ./providers/ballast
    checksum "${python_inputs[@]}" >"$python_stamp"
}

# Not `npm ci`: it wants every platform's build of the chain in the lock file, and npm writes only this one's. A
# build that does not match its hash is left out silently, because it is optional, so it is looked for.
install_node() {
    step "installing the local chain and the compiler (npm)" npm install --no-save --ignore-scripts --loglevel=error
    step "looking whether the local chain runs" node_modules/.bin/anvil --version
    checksum "${node_inputs[@]}" >"$node_stamp"
}

if [ "${1:-}" = --find-python ]; then
    find_python
    exit
fi

for tool in node npm; do
    command -v "$tool" >/dev/null ||
        stop "$tool is missing: the local chains of the tests need it" \
            "install Node.js 20 or later, with npm (Debian: apt-get install nodejs npm)"
done
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' ||
    stop "Node.js $(node --version) is too old" "install Node.js 20 or later"

began=$SECONDS
installed=no
is_ready "$python_stamp" "${python_inputs[@]}" || { install_python; installed=yes; }
is_ready "$node_stamp" "${node_inputs[@]}" || { install_node; installed=yes; }
if [ "$installed" = yes ]; then
    printf 'setup: ready in %s s\n' "$(( SECONDS - began ))"
fi
