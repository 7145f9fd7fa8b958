#!/bin/sh
# secrets.sh [--random] [DIRECTORY]: makes the secrets of compose.yaml in a directory, by default
# secrets/ beside this file; with --random only those that are. What is there already stays. The
# tokens of Slack are taken from SLACK_BOT_TOKEN and SLACK_APP_TOKEN; without them they are those of
# the fake Slack.
set -eu
only_random=
if [ "${1:-}" = --random ]; then
    only_random=yes
    shift
fi
directory=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$directory"

# The directory is closed to others; the files are mounted one by one, for users of containers.
keep() {
    if [ ! -e "$directory/$1" ]; then
        printf '%s' "$2" >"$directory/$1"
        chmod 444 "$directory/$1"
    fi
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

keep LATENTWATCH_WEBHOOKS__SECRET "$(random)"
keep LATENTWATCH_WEBHOOKS__READ_TOKEN "$(random)"
[ -z "$only_random" ] || exit 0
keep postgres_password "$(random)"
keep grafana_password "$(random)"
keep LATENTWATCH_DATABASE_URL \
    "postgresql://latentwatch:$(cat "$directory/postgres_password")@postgres:5432/latentwatch"
keep LATENTWATCH_BROKER__URL "redis://redis:6379/0"
keep LATENTWATCH_ALERTS__SLACK__BOT_TOKEN "${SLACK_BOT_TOKEN:-xoxb-fake-bot}"
keep LATENTWATCH_ALERTS__SLACK__APP_TOKEN "${SLACK_APP_TOKEN:-xapp-fake-app}"
