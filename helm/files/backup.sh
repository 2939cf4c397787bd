#!/bin/sh
# backup.sh DIRECTORY KEEP: one more backup of the app's database in DIRECTORY; only the newest KEEP stay.
# DATABASE_URL=sqlite:… by the program itself (PROGRAM, /app/chat), as <time>.sqlite3, while it is served. Else PostgreSQL by
# pg_dump, as <time>.dump; PGHOST, PGDATABASE, PGUSER, PGPASSWORD say which. Its log of changes is left out: after a restore
# clients fetch anew what they show, whatever it held.
# A backup has its name only once it is whole, and none is removed before that. What a killed one left goes a day later.
# With RESTORE=NAME or RESTORE=latest in the environment it restores instead: so the CronJob's pod serves for both.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: backup.sh DIRECTORY KEEP" >&2
    exit 2
fi
directory=$1
keep=$2
if [ -n "${RESTORE:-}" ]; then
    exec sh "$(dirname "$0")/restore.sh" "$directory" "$RESTORE" --overwrite
fi
case $keep in
'' | *[!0-9]* | 0)
    echo "backup.sh: KEEP is how many backups stay, at least 1; it is \"$keep\"." >&2
    exit 2
    ;;
esac
if [ ! -d "$directory" ] || [ ! -w "$directory" ]; then
    echo "backup.sh: $directory is no folder that can be written to." >&2
    exit 2
fi

name=$directory/$(date -u +%Y%m%dT%H%M%SZ)
part=$name.part
trap 'rm -f "$part" "$part.partial"' EXIT # the latter is the program's own
find "$directory" -maxdepth 1 -type f -name '*Z.part*' -mtime +0 -exec rm -f {} +
case ${DATABASE_URL:-} in
sqlite:*)
    suffix=sqlite3
    "${PROGRAM:-/app/chat}" backup "$part" >/dev/null
    ;;
*)
    suffix=dump
    pg_dump --format=custom --no-owner --no-privileges \
        --exclude-table-data='tims_change*' --exclude-table-data=tims_mark --file="$part"
    pg_restore --file=/dev/null "$part" # it can be read to its end
    ;;
esac
mv "$part" "$name.$suffix"
echo "$name.$suffix: $(wc -c <"$name.$suffix") bytes"

# Names are times, so the newest are the last.
set -- "$directory"/*."$suffix"
while [ $# -gt "$keep" ]; do
    rm -f -- "$1"
    shift
done
