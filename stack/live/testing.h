/* testing.h: a real server (world_testing.h) and clients of it (client_testing.h). For tests only. */
#ifndef LIVE_TESTING_H
#define LIVE_TESTING_H

#include "live/client_testing.h"
#include "live/world_testing.h"

#endif
