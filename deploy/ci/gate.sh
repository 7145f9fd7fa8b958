#!/bin/sh
# A gate on one push: check CANDIDATE, leave every report in REPORTS, exit as the check did
# (0 passed, 1 flagged, 2 bad input, 3 undecided, 4 cancelled or skipped).
#
#   gate.sh CANDIDATE BASELINE REPORTS [OPTIONS OF latentwatch check]
#
# BASELINE is a directory, or "trusted" with --line NAME among the options.
set -u
if [ "$#" -lt 3 ]; then
  echo "usage: gate.sh CANDIDATE BASELINE REPORTS [OPTIONS OF latentwatch check]" >&2
  exit 2
fi
candidate=$1 baseline=$2 reports=$3
shift 3

# As the check has it: what does not fail it fails no test case.
fail_on=warning before=
for option; do
  [ "$before" = --fail-on ] && fail_on=$option
  case "$option" in --fail-on=*) fail_on=${option#*=} ;; esac
  before=$option
done

mkdir -p "$reports" || exit 2
# What an earlier check left must not be shown as the outcome of one that fails.
rm -f "$reports/latentwatch.json" "$reports/latentwatch.md" "$reports/latentwatch.xml" \
  "$reports/latentwatch.sarif" "$reports/verdict.json" "$reports/report.html" || exit 2
latentwatch check "$candidate" --baseline "$baseline" --format json --out "$reports" "$@" \
  > "$reports/latentwatch.json"
code=$?
if [ ! -s "$reports/latentwatch.json" ]; then
  rm -f "$reports/latentwatch.json"
  # Without a verdict nothing was checked, whatever the exit code says.
  [ "$code" -eq 0 ] && code=3
  exit "$code"
fi
for format in markdown:md junit:xml sarif:sarif; do
  latentwatch render "$reports/latentwatch.json" --format "${format%:*}" --fail-on "$fail_on" \
    > "$reports/latentwatch.${format#*:}"
  [ "$?" -eq "$code" ] || code=3
done
exit "$code"
