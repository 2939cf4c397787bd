/* tims.h: everything an app includes. */
#ifndef TIMS_H
#define TIMS_H

#include "tims/app.h"
#include "tims/auth.h"
#include "tims/base.h"
#include "tims/cache.h"
#include "tims/http.h"
#include "tims/json.h"
#include "tims/live.h"
#include "tims/model.h"
#include "tims/openapi.h"
#include "tims/pages.h"
#include "tims/proxy.h"
#include "tims/push.h"
#include "tims/rest.h"
#include "tims/tasks.h"

#endif
