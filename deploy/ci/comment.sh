#!/bin/sh
# The comment of a check on a pull request: brought up to date if it is there, else made.
#
#   GITHUB_REPOSITORY=OWNER/NAME comment.sh REQUEST CHECKED FILE
#
# CHECKED says what is compared with what. A hidden mark of its digest finds the comment again, so
# neither another check's nor a person's is overwritten, whatever that begins with.
set -eu
request=$1 checked=$2 file=$3
digest=$(printf %s "$checked" | sha256sum | cut -c 1-16)
mark="<!-- latentwatch:$digest -->"
found=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$request/comments" \
  --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" | head -n 1)
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{ printf '%s\n' "$mark"; cat "$file"; } >"$body"
if [ -n "$found" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" -F "body=@$body" >/dev/null
else
  gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$request/comments" -F "body=@$body" >/dev/null
fi
