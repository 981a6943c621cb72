#!/usr/bin/env bash
# The main job on generated data, in demo/. Rerunnable: it starts afresh each time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tapehouse=.venv/bin/tapehouse
contract=examples/contracts/consolidated-trades.yaml
rows=${DEMO_ROWS:-200000}

step() { printf '\n\033[1m$ tapehouse %s\033[0m\n' "$*"; "$tapehouse" "$@"; }
[ -t 1 ] || step() { printf '\n$ tapehouse %s\n' "$*"; "$tapehouse" "$@"; }

rm -rf demo/landing demo/lake
mkdir -p demo

step generate trades --rows "$rows" --seed 7 --faults all --out demo/landing

# Every CSV of the landing folder but the reference table and the generator's own notes of what it broke.
inputs=()
for file in demo/landing/*.csv; do
  case "${file##*/}" in ref.csv | truth*.csv) ;; *) inputs+=("$file") ;; esac
done
step run "$contract" "${inputs[@]}" --reference demo/landing/ref.csv --lake demo/lake
step verify --lake demo/lake

cat <<END

Next, try:
  $tapehouse quarantine list --lake demo/lake
  $tapehouse query --lake demo/lake "select symbol, count(*) as trades from consolidated_trades.curated group by symbol order by trades desc limit 5"
  $tapehouse run $contract ${inputs[0]} --reference demo/landing/ref.csv --lake demo/lake   # delivered again: changes nothing
END
