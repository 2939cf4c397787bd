#!/bin/sh
# restore.sh DIRECTORY NAME|latest --overwrite: puts a backup of backup.sh in the place of all that is in the database, which is
# named as for backup.sh. It is looked through first, and if the restore fails, what was there stays.
# Nothing else may use the database meanwhile: stop the backend and the worker first.
set -eu

usage() {
    echo "usage: restore.sh DIRECTORY NAME|latest --overwrite" >&2
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
[ -n "$name" ] || usage
case ${DATABASE_URL:-} in
sqlite:*) suffix=sqlite3 ;;
*) suffix=dump ;;
esac
if [ ! -d "$directory" ]; then
    echo "restore.sh: there is no folder $directory." >&2
    exit 2
fi
if [ "$name" = latest ]; then
    for file in "$directory"/*."$suffix"; do # sorted: the newest is last
        if [ -e "$file" ]; then name=${file##*/}; fi
    done
    if [ "$name" = latest ]; then
        echo "restore.sh: there is no backup in $directory." >&2
        exit 2
    fi
fi
file=$directory/$name
if [ ! -f "$file" ]; then
    echo "restore.sh: there is no backup $name in $directory." >&2
    exit 2
fi
if [ "$overwrite" = false ]; then
    echo "restore.sh: this puts $name in the place of all that is in the database; say --overwrite." >&2
    exit 1
fi
if [ $suffix = sqlite3 ]; then
    exec "${PROGRAM:-/app/chat}" restore "$file" # it refuses what is damaged, and while somebody serves
fi
if ! pg_restore --file=/dev/null "$file" 2>/dev/null; then
    echo "restore.sh: $file is damaged, or no backup: the database was left alone." >&2
    exit 1
fi
others=$(psql -XAtqc "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
if [ "$others" != 0 ]; then
    echo "restore.sh: $others connections use the database: stop the backend and the worker first." >&2
    exit 1
fi

# COMMIT is only written after all of the backup. Another value under 'server' makes the program begin an epoch: positions
# that clients know from before the restore mean nothing in what it brought back, so they fetch anew what they show.
sql() {
    echo "BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
    if pg_restore --file=- --no-owner --no-privileges "$file"; then
        echo "INSERT INTO public.tims_meta (key, value) VALUES ('server', 'restored')
            ON CONFLICT (key) DO UPDATE SET value = 'restored'; COMMIT;"
        printf '%s\n' '\echo restored'
    else
        printf '%s\n' '\warn the backup could not be read to its end'
    fi
}
if [ "$(sql | psql -Xqv ON_ERROR_STOP=1 --set=VERBOSITY=terse | tail -1)" != restored ]; then
    echo "restore.sh: $name could not be restored: the database is as it was." >&2
    exit 1
fi
echo "$name is restored. Start the backend again; it migrates what the backup lacks."
