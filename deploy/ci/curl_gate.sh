#!/bin/sh
# A gate that needs nothing but curl: wait until the watch has decided about a version, exit as
# `latentwatch check` would (0 passed or trusted, 1 flagged or quarantined, 2 refused or bad input,
# 3 undecided or not decided in time, 4 skipped for newer versions).
#
#   LATENTWATCH_URL=https://watch.example LATENTWATCH_READ_TOKEN=... curl_gate.sh LINE VERSION [MINUTES]
#
# The push has to lie where the line's source looks; the verdict is left in latentwatch.json.
set -u
if [ "$#" -lt 2 ] || [ -z "${LATENTWATCH_URL:-}" ] || [ -z "${LATENTWATCH_READ_TOKEN:-}" ]; then
  echo "usage: LATENTWATCH_URL=... LATENTWATCH_READ_TOKEN=... curl_gate.sh LINE VERSION [MINUTES]" >&2
  exit 2
fi
address="$LATENTWATCH_URL/v1/versions/$1/$2"
end=$(($(date +%s) + 60 * ${3:-120}))

# The token goes through standard input: arguments can be seen by every user of the machine.
ask() {
  printf 'header = "Authorization: Bearer %s"\n' "$LATENTWATCH_READ_TOKEN" |
    curl --config - --silent --show-error --max-time 30 "$@" "$address"
}

while :; do
  state=$(ask --header "Accept: text/plain") || state=unreachable
  case "$state" in
    new | checking | unknown | unreachable) ;;
    *) break ;;
  esac
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "$1: $2 is $state; not decided in time" >&2
    ask >&2 # says why it is not known, where that is so
    exit 3
  fi
  sleep "${LATENTWATCH_POLL_SECONDS:-10}"
done
ask --output latentwatch.json
echo "$1: $2 is $state"
case "$state" in
  passed | trusted) exit 0 ;;
  flagged | quarantined) exit 1 ;;
  refused) exit 2 ;;
  superseded) exit 4 ;;
  undecided) exit 3 ;;
  *) echo "no answer of latentwatch: is the token right?" >&2; exit 2 ;;
esac
