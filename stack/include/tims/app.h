/* app.h: an application is tables; this room composes them into a program with a command line. */
#ifndef TIMS_APP_H
#define TIMS_APP_H

#include "tims/auth.h"
#include "tims/cache.h"
#include "tims/http.h"
#include "tims/live.h"
#include "tims/model.h"
#include "tims/openapi.h"
#include "tims/pages.h"
#include "tims/proxy.h"
#include "tims/push.h"
#include "tims/rest.h"
#include "tims/tasks.h"

/* One app of a project: a folder. Every table ends with an empty row (a NULL for models). */
typedef struct tims_app {
    const char *name;
    const char *doc;
    const tims_model *const *models;
    const tims_resource *resources;
    const tims_computed *computed;
    const tims_route *endpoints;
    const tims_page_route *pages;
    const tims_task *const *tasks; /* NULL-terminated, like models */
    const tims_queue *queues;      /* those with limits */
    const tims_schedule *schedules;
    const tims_websocket_route *websockets;
    const tims_embedded *migrations; /* TIMS_MIGRATIONS(chat): embedded by the build from <app>/migrations */
    void (*demo)(tims_request *rq);  /* fills in test data; runs once, in a transaction */
} tims_app;

typedef struct tims_project {
    const char *name; /* the program's name */
    const char *version;
    const char *doc;              /* what it is, for the API's document; NULL: nothing is said */
    const char *license;          /* an SPDX expression; NULL: none is named */
    const tims_app *const *apps;  /* NULL-terminated */
    const char *languages;        /* of its pages: "en,de"; the first for want of another; NULL: "en" */
    const char *source_directory; /* where makemigrations writes: <dir>/<app>/migrations */
    const tims_push_sender *push_senders; /* the project's own, beside FCM and APNs; NULL: none */
    const tims_proxy *proxies; /* other programs behind this one; ends with an empty row; NULL: none */
} tims_project;

/* The program: parses the command line and runs the command. Returns the exit status. */
int tims_main(int argc, char **argv, const tims_project *project);

#endif
