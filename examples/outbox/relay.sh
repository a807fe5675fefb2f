#!/bin/sh
# Carries the outbox over to Ringback until there is nothing left: read, send, mark, in this order.
# Killed anywhere, it sends the last row again, which `source_version` makes harmless. Run as many as you like.
# DATABASE_URL: the database. RINGBACK_URL, RINGBACK_KEY: where to, and an operator's key.
set -eu
sql() { psql "$DATABASE_URL" -XqAt -v ON_ERROR_STOP=1 "$@"; }
send() { curl -sS --fail-with-body --retry 5 -o /dev/null -H "Authorization: Bearer $RINGBACK_KEY" "$@"; }
while :; do
  row=$(sql -F '|' -c "SELECT source_version, id, body || jsonb_build_object('source_version', source_version)
                       FROM outbox WHERE sent_at IS NULL ORDER BY source_version LIMIT 1")
  [ -n "$row" ] || exit 0
  version=${row%%|*} rest=${row#*|}
  id=${rest%%|*} body=${rest#*|}
  if [ -n "$body" ]; then
    send -X PUT -H 'content-type: application/json' -d "$body" "$RINGBACK_URL/invoice/$id"
  else
    send -X DELETE "$RINGBACK_URL/invoice/$id?source_version=$version"
  fi
  sql -c "UPDATE outbox SET sent_at = now() WHERE source_version = $version"
done
