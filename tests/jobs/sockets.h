/* sockets.h: see sockets.c */
#ifndef JOBS_SOCKETS_H
#define JOBS_SOCKETS_H

#include <tims.h>

extern const tims_app sockets_app;

#endif
