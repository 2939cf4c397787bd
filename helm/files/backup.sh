#!/bin/sh
# backup.sh DIRECTORY KEEP: one more backup of the app's database in DIRECTORY; only the newest KEEP stay.
# PostgreSQL (PGHOST, PGDATABASE, PGUSER, PGPASSWORD say which) by pg_dump, as <time>.dump.
# The log of changes is left out: after a restore clients fetch anew what they show, whatever it held.
# A backup has its name only once it is whole, and none is removed before that.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: backup.sh DIRECTORY KEEP" >&2
    exit 2
fi
directory=$1
keep=$2
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

name=$directory/$(date -u +%Y%m%dT%H%M%SZ).dump
part=$name.part
trap 'rm -f "$part"' EXIT
pg_dump --format=custom --no-owner --no-privileges \
    --exclude-table-data='tims_change*' --exclude-table-data=tims_mark --file="$part"
pg_restore --list "$part" >/dev/null # it can be read
mv "$part" "$name"
echo "$name: $(wc -c <"$name") bytes"

# Names sort by time.
count=0
for file in $(cd "$directory" && ls -1r -- *.dump); do
    count=$((count + 1))
    if [ "$count" -gt "$keep" ]; then
        rm -f -- "$directory/$file"
    fi
done
