#!/bin/sh
# A gate that needs nothing but curl: wait until the watch has decided about a version, exit as
# `latentwatch check` would (0 passed or trusted, 1 flagged or quarantined, 2 refused or bad input,
# 3 undecided or not decided in time, 4 skipped for newer versions).
#
#   GATE_URL=https://watch.example GATE_TOKEN=... curl_gate.sh LINE VERSION [MINUTES]
#
# The push has to lie where the line's source looks; the verdict is left in latentwatch.json.
set -u
if [ "$#" -lt 2 ] || [ -z "${GATE_URL:-}" ] || [ -z "${GATE_TOKEN:-}" ]; then
  echo "usage: GATE_URL=... GATE_TOKEN=... curl_gate.sh LINE VERSION [MINUTES]" >&2
  exit 2
fi
minutes=${3:-120}
case "$minutes" in
  *[!0-9]* | ?????*) echo "MINUTES must be a whole number of at most 4 digits, not '$minutes'" >&2; exit 2 ;;
esac
# What an earlier run left must not be shown as the answer of one that fails.
rm -f latentwatch.json || exit 2

# As a part of an address; octets, so that any character of a version's name passes.
encoded() {
  printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'
}

# Slashes at its end would make another address.
root=$GATE_URL
while [ "$root" != "${root%/}" ]; do root=${root%/}; done
address="$root/v1/versions/$(encoded "$1")/$(encoded "$2")"
end=$(($(date +%s) + 60 * minutes))

# The token goes through standard input: arguments can be seen by every user of the machine.
ask() {
  printf 'header = "Authorization: Bearer %s"\n' "$GATE_TOKEN" |
    curl --config - --silent --show-error --max-time 30 "$@"
}

# The word at an address, and the code of the answer: 000 where there was none.
look_up() {
  answer=$(ask --header "Accept: text/plain" --write-out '\n%{http_code}' "$1")
  code=${answer##*
}
  state=${answer%%
*}
  case "$code" in
    401 | 403) echo "no answer of latentwatch ($code): is the token right?" >&2; exit 2 ;;
    000 | 429 | 5??) state=unreachable ;; # a proxy answers so while the watch restarts
  esac
}

# A name may have been used before: what was seen there until now is no answer. The time is that of
# the watch, whose clock may differ from the one here; GATE_SINCE, seconds since the epoch, is that
# of a push that was made before.
since=${GATE_SINCE:-}
case "$since" in
  *[!0-9.]*) echo "GATE_SINCE must be seconds since the epoch, not '$since'" >&2; exit 2 ;;
esac
while :; do
  if [ -z "$since" ]; then
    look_up "$root/v1/time"
    case "$state" in
      "" | *[!0-9.]*) ;;
      *) since=$state ;;
    esac
  fi
  if [ -n "$since" ]; then look_up "$address?since=$since"; fi
  case "$state" in
    new | checking | unknown | unreachable) ;;
    *) break ;;
  esac
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "$1: $2 is $state; not decided in time" >&2
    ask "$address${since:+?since=$since}" >&2 # says why it is not known, where that is so
    exit 3
  fi
  sleep "${GATE_POLL_SECONDS:-10}"
done
case "$state" in
  passed | trusted) verdict=0 ;;
  flagged | quarantined) verdict=1 ;;
  refused) verdict=2 ;;
  superseded) verdict=4 ;;
  undecided) verdict=3 ;;
  "no line") ask "$address" >&2; exit 2 ;; # says which lines there are
  *) echo "no answer of latentwatch ($code): is the address right?" >&2; exit 2 ;;
esac
ask --output latentwatch.json "$address?since=$since"
echo "$1: $2 is $state"
exit "$verdict"
