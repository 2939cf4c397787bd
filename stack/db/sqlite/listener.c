/* listener.c: another process's commit is seen by the file that it wrote to, in the database's folder. */
#include "sqlite_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct listener {
    tims_db_listener base;
    tims_watch *watch; /* NULL: the folder cannot be watched, nothing is heard */
} listener;

tims_db_listener *sqlite__listen(tims_db *db, tims_loop *loop, const char *channel, tims_loop_fn function,
                                 void *argument)
{
    (void)channel;
    const sqlite__store *store = (const sqlite__store *)db;
    listener *l = calloc(1, sizeof *l);
    TIMS_ASSERT(l != NULL);
    l->base = (tims_db_listener){ DB_LISTENER_MAGIC, &db__sqlite_driver, loop, function, argument };
    char *folder = strdup(store->path);
    TIMS_ASSERT(folder != NULL);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder] = '\0';
    if (tims_watch_path(loop, slash != NULL ? folder : ".", function, argument, &l->watch) != TIMS_OK)
        tims_log(TIMS_LOG_WARN, "db",
                 "event=not_watched message=the folder of the database cannot be watched");
    free(folder);
    return &l->base;
}

void sqlite__listener_free(tims_db_listener *base)
{
    listener *l = (listener *)base;
    base->magic = 0;
    tims_watch_free(&l->watch);
    free(l);
}
