#!/usr/bin/env bash
# Prepares .venv from uv.lock with nothing but Python 3.11+ on the machine.
#   scripts/bootstrap.sh run    what the job needs
#   scripts/bootstrap.sh dev    that, Spark, and the tools to test and change it
#   scripts/bootstrap.sh spark35  the same with the older line of Spark, in .venv-spark35
#   scripts/bootstrap.sh check  only finds Python and says which
# uv lives in its own .uv/: `uv sync` removes from .venv whatever is not in the lock, itself included.
# Variables: PYTHON (an interpreter to use), UV (a uv to use instead of fetching one), EXTRAS (for `dev`, default
# "dev spark aws cloud"),
# CC (a C compiler to use), TAPEHOUSE_NATIVE=off (compile nothing).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.8
LIBRARY=src/tapehouse/native/libtapehouse.so
say() { printf '%s\n' "$*" >&2; }
die() { say "tapehouse: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || die "PYTHON=$PYTHON is not a program on this machine" \
      "fix: give a Python 3.11 or newer, for example: make PYTHON=/usr/bin/python3.12 test"
    new_enough "$PYTHON" || die "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1), and Tapehouse needs Python 3.11 or newer" \
      "fix: install one, then: make PYTHON=/path/to/python3.12 test"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then PYTHON=$candidate; return; fi
  done
  die "no Python 3.11 or newer found (looked for python3, python3.11 to python3.14 on PATH)" \
    "fix: install one (Debian, Ubuntu: apt install python3 python3-venv; Amazon Linux: dnf install python3.12; macOS: brew install python@3.12)" \
    "     or name one: make PYTHON=/path/to/python3.12 test"
}

find_uv() {
  if [ -n "${UV:-}" ]; then return; fi
  UV=.uv/bin/uv
  if [ -x "$UV" ] && [ "$("$UV" --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ]; then return; fi
  say "fetching uv $UV_VERSION into .uv/"
  rm -rf .uv
  local log
  log=$(mktemp)
  if ! "$PYTHON" -m venv .uv >"$log" 2>&1; then
    cat "$log" >&2; rm -rf .uv "$log"
    die "$PYTHON cannot create a virtual environment" \
      "fix: install its venv module (Debian, Ubuntu: apt install python3-venv)" \
      "     or install uv yourself (https://docs.astral.sh/uv/) and say: make UV=uv test"
  fi
  printf '*\n' > .uv/.gitignore
  if ! .uv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "uv==$UV_VERSION" >"$log" 2>&1; then
    cat "$log" >&2; rm -rf .uv "$log"
    die "uv $UV_VERSION could not be installed" \
      "fix: check the network and pip's index settings (pip config list)" \
      "     or install uv yourself and say: make UV=uv test"
  fi
  rm -f "$log"
}

sync_venv() {
  local extra extras=${EXTRAS:-dev spark aws cloud} venv=.venv args=(sync --frozen --quiet --compile-bytecode)
  if [ "$1" = spark35 ]; then venv=.venv-spark35 extras="dev spark35 aws"; fi
  # Keep a working interpreter: a different one would rebuild the environment from nothing.
  if [ -x $venv/bin/python ] && new_enough $venv/bin/python; then args+=(--python $venv/bin/python)
  else args+=(--python "$(command -v "$PYTHON")"); fi
  if [ "$1" = run ]; then args+=(--inexact)   # must not take the tools out of an environment that has them
  else for extra in $extras; do args+=(--extra "$extra"); done; fi
  # uv would take the package from its cache, and not compile, as long as the C sources are as they were.
  [ -e "$LIBRARY" ] || args+=(--reinstall-package tapehouse)
  say "installing into $venv from uv.lock ($1)"
  if [ "${TAPEHOUSE_NATIVE:-}" != off ] && [ -z "${CC:-}" ] && ! command -v cc gcc clang >/dev/null 2>&1; then
    say "no C compiler found: one is fetched for the build (ziglang, 100 MB; TAPEHOUSE_NATIVE=off does without)"
  fi
  env -u VIRTUAL_ENV UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$venv "$UV" "${args[@]}" ||
    die "the environment could not be built from uv.lock (see above)" \
      "fix: check the network; if $venv is damaged: make clean-env, then try again" \
      "     if a C compiler could not be fetched: TAPEHOUSE_NATIVE=off does without, on a slower path"
  if [ -e "$LIBRARY.log" ]; then say "$(head -n 1 "$LIBRARY.log")"; fi   # uv keeps to itself what a build prints
  $venv/bin/python -m compileall -q src || true   # only a faster start
}

find_python
case "${1:-}" in
  check) say "$("$PYTHON" --version) ($(command -v "$PYTHON"))" ;;
  run|dev|spark35) find_uv; sync_venv "$1" ;;
  *) die "usage: scripts/bootstrap.sh run|dev|spark35|check" ;;
esac
