/* openapi_internal.h: what the files of this room share. */
#ifndef OPENAPI_INTERNAL_H
#define OPENAPI_INTERNAL_H

#include <string.h>

#include "tims/openapi.h"

/* What a schema is of: the same field is described differently in an answer, in a body, in a URL. */
typedef enum openapi__use {
    OPENAPI__ROW,   /* a model's row, or a shape, as it is answered */
    OPENAPI__NEW,   /* the body that makes one */
    OPENAPI__PATCH, /* the body that changes one */
    OPENAPI__LIST,  /* a page of rows, of a resource */
    OPENAPI__QUERY  /* one value in a URL */
} openapi__use;

/* A schema with a name; written after the paths, which name it. */
typedef struct openapi__component {
    openapi__use use;
    const tims_model *model;       /* ROW, NEW, PATCH; or… */
    const tims_shape *shape;       /* ROW, NEW, PATCH */
    const tims_resource *resource; /* LIST */
    tims_str name;
} openapi__component;

typedef enum openapi__verb {
    OPENAPI__GET_LIST,
    OPENAPI__GET_ROW,
    OPENAPI__CREATE,
    OPENAPI__UPDATE,
    OPENAPI__DELETE,
    OPENAPI__COMPUTED,
    OPENAPI__ROUTE,
    OPENAPI__WEBSOCKET
} openapi__verb;

/* A method of a path. */
typedef struct openapi__operation {
    openapi__verb verb;
    tims_method method;
    tims_str pattern; /* as the router reads it */
    tims_str path;    /* as the document names it: /api/messages/{id}/ */
    tims_str id;
    const tims_openapi_part *part;
    const tims_resource *resource;
    const tims_computed *computed;
    const tims_route *route;
    const tims_websocket_route *websocket;
} openapi__operation;

enum { OPENAPI__PARAMETER_KEY, OPENAPI__PARAMETER_MATCH, OPENAPI__PARAMETER_NONE_MATCH };
enum { OPENAPI__HEADER_POSITION, OPENAPI__HEADER_ETAG, OPENAPI__HEADER_LOCATION, OPENAPI__HEADER_RETRY };
enum { OPENAPI__COMPONENTS_MAX = 1000, OPENAPI__OPERATIONS_MAX = 2000 };

typedef struct openapi__document {
    tims_arena *arena;
    const tims_openapi_options *options;
    tims_json_writer *w;
    openapi__operation *operations;
    size_t operation_count;
    openapi__component *components;
    size_t component_count;
    uint32_t problems_used, parameters_used, headers_used; /* bit i: the i-th of the table */
    tims_error *err;                                       /* the first thing that was wrong */
} openapi__document;

/* --- name.c ------------------------------------------------------------------------------------ */

/* "tasks/queues" to "TasksQueues": each run of letters and digits with a capital; `{…}` is left out. */
tims_str openapi__pascal(tims_arena *arena, tims_str text);
/* "tims_job_status" to "JobStatus". */
tims_str openapi__type_name(tims_arena *arena, const char *name);
/* "/api/messages/" to "Messages", and of one of them: "Message". */
tims_str openapi__path_name(tims_arena *arena, tims_str path);
tims_str openapi__singular(tims_arena *arena, tims_str plural);
/* "/a/{id:id}/" to "/a/{id}/". */
tims_str openapi__path(tims_arena *arena, tims_str pattern);

/* --- schema.c ---------------------------------------------------------------------------------- */

/* The members of the schema of one field, inside an object the caller has opened. */
void openapi__field(openapi__document *d, const tims_field *field, openapi__use use);
/* {"$ref": …} to the schema of one of them, which is then written at the end. */
void openapi__ref_model(openapi__document *d, const tims_model *model, openapi__use use);
void openapi__ref_shape(openapi__document *d, const tims_shape *shape, openapi__use use);
void openapi__ref_list(openapi__document *d, const tims_resource *resource);
/* The object of all schemas that were named; writing one may name others. */
void openapi__write_schemas(openapi__document *d);
/* Whether a field is in such a body or answer. */
bool openapi__is_shown(const tims_field *field, openapi__use use);

/* --- parameter.c ------------------------------------------------------------------------------- */

void openapi__write_parameters(openapi__document *d, const openapi__operation *o);
void openapi__write_parameter_components(openapi__document *d);

/* --- answer.c ---------------------------------------------------------------------------------- */

void openapi__write_responses(openapi__document *d, const openapi__operation *o);
void openapi__write_response_components(openapi__document *d);
void openapi__write_header_components(openapi__document *d);
/* A body with a file keeps "file" of this schema. */
void openapi__write_body(openapi__document *d, const openapi__operation *o);

/* --- operation.c ------------------------------------------------------------------------------- */

/* All operations of the parts, each with a name of its own. */
void openapi__collect(openapi__document *d);
void openapi__write_paths(openapi__document *d);
/* What the row of the operation says of itself; NULL for resources and websockets. */
const tims_route_api *openapi__api_of(const openapi__operation *o);
bool openapi__is_safe(const openapi__operation *o);

/* --- writing ----------------------------------------------------------------------------------- */

static inline void openapi__key(openapi__document *d, const char *name)
{
    tims_json_key(d->w, tims_str_from(name));
}
static inline void openapi__text(openapi__document *d, const char *name, const char *value)
{
    openapi__key(d, name);
    tims_json_str(d->w, tims_str_from(value));
}
static inline void openapi__number(openapi__document *d, const char *name, int64_t value)
{
    openapi__key(d, name);
    tims_json_int(d->w, value);
}
static inline void openapi__flag(openapi__document *d, const char *name, bool value)
{
    openapi__key(d, name);
    tims_json_bool(d->w, value);
}
static inline void openapi__open(openapi__document *d, const char *name)
{
    openapi__key(d, name);
    tims_json_begin_object(d->w);
}
static inline void openapi__close(openapi__document *d)
{
    tims_json_end_object(d->w);
}
static inline void openapi__open_list(openapi__document *d, const char *name)
{
    openapi__key(d, name);
    tims_json_begin_array(d->w);
}
/* Names at most one thing that is wrong: the first. */
void openapi__fail(openapi__document *d, const char *format, ...) TIMS_PRINTF(2, 3);

#endif
