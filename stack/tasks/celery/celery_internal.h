/* celery_internal.h: jobs as messages in Celery's protocol v2, over Redis as kombu keeps them.
 *
 * store.c (take, acknowledge, lease), message.c (envelopes), result.c, relay.c (from the database to Redis,
 * after the commit), events.c (what Flower listens to), control.c (what `celery inspect` and `celery control`
 * ask). */
#ifndef TASKS_CELERY_INTERNAL_H
#define TASKS_CELERY_INTERNAL_H

#include "tasks/tasks_internal.h"

typedef struct celery__store celery__store;

/* --- events.c: to the channel /<db>.celeryev/… ------------------------------------------------------------- */

typedef struct celery__events celery__events;
celery__events *celery__events_new(celery__store *store);
void celery__events_free(celery__events **events);
/* worker-online, -heartbeat, -offline; task-received, -started, -succeeded, -failed, -retried, -revoked,
 * -rejected. Nobody waits for them; while Redis is away they are lost. Task events only while they are
 * enabled. */
void celery__events_worker(celery__events *events, const char *type);
void celery__events_task(celery__events *events, const char *type, const tasks__job *job,
                         const tasks__outcome *outcome);
void celery__events_enable(celery__events *events, bool on);

/* --- control.c: /<db>.celery.pidbox ------------------------------------------------------------------------ */

typedef struct celery__control celery__control;
celery__control *celery__control_new(celery__store *store);
void celery__control_free(celery__control **control);
/* A message from the pidbox channel. Malformed ones are logged and dropped. */
void celery__control_hear(celery__control *control, tims_str message);

#endif
