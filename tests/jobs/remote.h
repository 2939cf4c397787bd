/* remote.h: see remote.c */
#ifndef JOBS_REMOTE_H
#define JOBS_REMOTE_H

#include <tims.h>

extern const tims_app remote_app;

#endif
