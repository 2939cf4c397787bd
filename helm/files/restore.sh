#!/bin/sh
# restore.sh DIRECTORY [NAME] --overwrite: puts a backup of backup.sh (the newest, or the one named) in the database's place.
# PGHOST, PGDATABASE, PGUSER, PGPASSWORD say which. In one transaction: if it fails, what was there stays.
# Nothing else may use the database meanwhile: stop the backend and the worker first.
set -eu

usage() {
    echo "usage: restore.sh DIRECTORY [NAME] --overwrite" >&2
    exit 2
}
directory=
name=
overwrite=false
for argument; do
    case $argument in
    --overwrite) overwrite=true ;;
    -*) usage ;;
    *) if [ -z "$directory" ]; then directory=$argument; elif [ -z "$name" ]; then name=$argument; else usage; fi ;;
    esac
done
[ -n "$directory" ] || usage
if [ ! -d "$directory" ]; then
    echo "restore.sh: there is no folder $directory." >&2
    exit 2
fi
if [ -z "$name" ]; then
    for file in "$directory"/*.dump; do
        [ -e "$file" ] && name=${file##*/}
    done
fi
if [ -z "$name" ]; then
    echo "restore.sh: there is no backup in $directory." >&2
    exit 2
fi
file=$directory/$name
if [ ! -f "$file" ]; then
    echo "restore.sh: there is no backup $name in $directory." >&2
    exit 2
fi
if ! pg_restore --list "$file" >/dev/null 2>&1; then
    echo "restore.sh: $file is damaged, or no backup: it was left alone, and so was the database." >&2
    exit 1
fi
others=$(psql -XAtqc "select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'")
if [ "$others" != 0 ]; then
    echo "restore.sh: $others connections still use the database: stop the backend and the worker first." >&2
    exit 1
fi
if [ "$overwrite" = false ]; then
    echo "restore.sh: this puts $name in the place of all that is in the database $PGDATABASE on $PGHOST; say --overwrite." >&2
    exit 1
fi
pg_restore --dbname="$PGDATABASE" --single-transaction --exit-on-error --clean --if-exists \
    --no-owner --no-privileges "$file"
echo "$name is restored. Start the backend again; it migrates what the backup lacks."
