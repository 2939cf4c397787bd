/* openapi.h: the API as an OpenAPI 3.1 document, made of the tables that also serve it.
 *
 * Nothing is written for it by hand: resources, models, shapes and routes say what they are, and the document
 * says the same. It needs no database. */
#ifndef TIMS_OPENAPI_H
#define TIMS_OPENAPI_H

#include "tims/live.h"
#include "tims/rest.h"

/* The tables of one app (or room of the stack): its operations have one tag. Each may be NULL; they end with
 * an empty row. */
typedef struct tims_openapi_part {
    const char *name, *doc;
    const tims_resource *resources;
    const tims_computed *computed;
    const tims_route *routes;
    const tims_websocket_route *websockets;
} tims_openapi_part;

typedef struct tims_openapi_options {
    const char *title, *version, *doc;
    const char *license;     /* an SPDX expression; NULL: none is named */
    tims_str session_cookie; /* its name */
    const tims_openapi_part *parts;
    size_t part_count;
} tims_openapi_options;

enum { TIMS_OPENAPI_BYTES_MAX = 8 * 1024 * 1024 };

/* The document as JSON, in the arena. Paths stand in the order of the tables; the same tables give the same
 * bytes. Errors: INVALID naming two operations or two schemas of one name; TOO_LARGE. */
tims_status tims_openapi_write(tims_arena *arena, const tims_openapi_options *options, tims_str *ret_json,
                               tims_error *err);

/* What clients call an operation of a resource: "listMessages", "getMessage" … `allow` is one of its verbs.
 */
tims_str tims_openapi_operation_of(tims_arena *arena, const tims_resource *resource, uint32_t allow);

#endif
