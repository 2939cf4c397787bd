/* api.c: jobs over HTTP: what users follow, and what staff sees and does. */
#include "tasks/tasks_internal.h"

const tims_resource tims_tasks_resources[] = {
    { .path = "/api/tasks/",
      .model = &tasks__status_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("state", "task", "queue", "user"),
      .doc = "Jobs of tracked tasks: your own; staff sees all." },
    { 0 },
};

const tims_computed tims_tasks_computed[] = { { 0 } };
const tims_route tims_tasks_routes[] = { { 0 } };
