/* store.c: jobs as messages on Redis, in Celery's protocol. */
#include "tasks/tasks_internal.h"

tims_status tasks__celery_store_new(tims_tasks *tasks, tims_str url, tasks__store **ret_store,
                                    tims_error *err)
{
    (void)tasks, (void)url, (void)ret_store;
    return tims_fail(err, TIMS_INVALID, "tasks_url", "TASKS_URL is not there yet.");
}

void tasks__celery_store_free(tasks__store **store)
{
    *store = NULL;
}
