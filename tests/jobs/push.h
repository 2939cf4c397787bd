/* push.h: see push.c */
#ifndef JOBS_PUSH_H
#define JOBS_PUSH_H

#include <tims.h>

extern const tims_app push_app;
extern const tims_push_sender push_senders[];

#endif
