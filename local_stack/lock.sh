#!/usr/bin/env bash
# Compiles requirements.txt from pyproject.toml, with the hash of every file and no index address.
# Arguments go to `uv pip compile` (for example --upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=.local/tools/uv/bin/uv
if [[ ! -x $uv ]]; then
    python3.11 -m venv --clear .local/tools/uv
    .local/tools/uv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r local_stack/requirements-bootstrap.txt
fi
"$uv" pip compile pyproject.toml --group dev --quiet --generate-hashes --no-emit-index-url \
    --no-emit-find-links --python-version 3.11 --custom-compile-command "make lock" \
    --output-file requirements.txt "$@"
