/* rest_internal.h: what the files of this room share. */
#ifndef TIMS_REST_INTERNAL_H
#define TIMS_REST_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tims/rest.h"

enum {
    REST__URL_BYTES_MAX = 8 * 1024,
    REST__PARAMETERS_MAX = 32,
    REST__DOCUMENT_BYTES_MAX = 16 * 1024 * 1024,
    REST__EPOCH_LENGTH = 16,
    REST__KEY_BYTES_MAX = 128,
};

/* A resource as it is served; two routes point at it. */
typedef struct rest__entry {
    tims_rest *rest;
    const tims_resource *resource;
    tims_str path;
    int64_t size, max;
    tims_rate reads, writes;
} rest__entry;

/* A computed endpoint as it is served. */
typedef struct rest__computed {
    tims_rest *rest;
    const tims_computed *computed;
    tims_str path;
} rest__computed;

typedef struct rest__throttle rest__throttle;

/* Constant once it is made, but for what is behind the mutex: the epoch and the cursor key, read at first
 * use. */
struct tims_rest {
    uint32_t magic;
    tims_rest *self; /* the way back from a constant tims_rest to the one that may be filled in */
    rest__entry *entries;
    size_t entry_count;
    rest__computed *computed;
    size_t computed_count;
    tims_route *routes;
    size_t route_count;
    tims_rest_stream_fn stream;
    void *stream_data;
    rest__throttle *throttle;
    tims_cache *cache; /* NULL: none */
    pthread_mutex_t mutex;
    atomic_bool has_secrets;
    _Atomic(const char *) epoch; /* at first what is in `first_epoch` */
    char first_epoch[REST__EPOCH_LENGTH];
    char key[REST__KEY_BYTES_MAX];
    size_t key_length;
};
enum { REST__MAGIC = 0x72657374 };

/* What the database keeps for this room. Errors: the database's; INTERNAL when it is not migrated. */
tims_status rest__secrets(const tims_rest *rest, tims_db_session *db, tims_arena *arena, tims_str *ret_epoch,
                          tims_str *ret_key, tims_error *err);
bool rest__known_key(const tims_rest *rest, tims_str *ret_key); /* false: not read yet */

/* Handlers; rq->route->data is the entry. */
tims_answer rest__list(tims_request *rq);
tims_answer rest__detail(tims_request *rq);
tims_answer rest__create(tims_request *rq);
tims_answer rest__update(tims_request *rq);
tims_answer rest__delete(tims_request *rq);
bool rest__wants_stream(const tims_request *rq);
tims_answer rest__stream(tims_request *rq, const tims_rest *rest); /* Raises: 406 */
static inline const rest__entry *rest__entry_of(const tims_request *rq)
{
    const rest__entry *entry = rq->route->data;
    TIMS_CHECK_MAGIC(entry->rest, REST__MAGIC);
    return entry;
}

/* The parameters of a list (or, with `id`, a detail) to a query. */
tims_status rest__resolve(const rest__entry *entry, tims_arena *arena, const tims_id *id,
                          tims_pairs parameters, tims_caller caller, tims_live_url *ret_url, tims_error *err);
/* Fills `url->query` from a cursor's text, which resolve keeps until the key can be read. */
tims_status rest__apply_cursor(tims_arena *arena, tims_str key, tims_live_url *url, tims_error *err);
/* The URL of the page behind (or before) the row with these order values. */
tims_status rest__cursor_url(tims_arena *arena, tims_str key, const tims_live_url *url,
                             const tims_db_value *values, bool backwards, tims_str *ret_url, tims_error *err);
/* `base` with one more parameter, which is not encoded. */
tims_str rest__add_parameter(tims_arena *arena, tims_str base, const char *name, tims_str value);

/* Row and ETag as details answer them. */
tims_str rest__row_text(tims_request *rq, const tims_model *model, const void *row);
tims_str rest__etag(tims_arena *arena, tims_str text);
tims_str rest__position_text(tims_arena *arena, tims_str epoch, int64_t position); /* <epoch>-<n> */
/* The headers that every answer read from models has. */
void rest__set_read_headers(tims_request *rq, tims_str position);
/* Path and parameters of a live URL. Errors: INVALID. */
tims_status rest__split_url(tims_arena *arena, tims_str url, tims_str *ret_path, tims_str *ret_query,
                            tims_pairs *ret_pairs, tims_error *err);
/* The rule of a write: the verb's own, else the model's `write`. */
static inline const tims_rule *rest__write_rule(const tims_model *model, const tims_rule *own)
{
    return own != NULL ? own : model->write;
}

/* --- kept.c: answers from the cache ----------------------------------------------------------- */

/* Writes the answer anew in the session's snapshot; where it names its position, this one. Raises. */
typedef void (*rest__write_fn)(tims_request *rq, const void *argument, int64_t position, tims_buf *out);
/* What a GET asks the cache for, and what it keeps there. */
typedef struct rest__keeping {
    tims_cache *cache; /* NULL: there is none */
    tims_cache_name name;
    bool is_wanted; /* what is read now shall be kept */
    uint64_t since;
} rest__keeping;
/* The answer to a GET, if it is kept; what else there is to say in the headers is set. NULL: it must be read,
 * and `keeping` says whether to keep it. `write`: for when it is to be checked. Raises. */
const tims_cached *rest__kept_find(tims_request *rq, const tims_rest *rest, rest__keeping *ret_keeping,
                                   rest__write_fn write, const void *argument);
/* Keeps what was read, if it is wanted. */
void rest__keep(tims_request *rq, const rest__keeping *keeping, int64_t position, const tims_reads *reads,
                tims_str body);
/* A recorder that goes with the request. */
tims_reads *rest__new_reads(tims_request *rq, bool lenient);

/* --- throttle --------------------------------------------------------------------------------- */

rest__throttle *rest__throttle_new(tims_arena *arena);
/* The bucket of `whom` (of this kind) for what has this name. */
uint64_t rest__throttle_key(const rest__throttle *throttle, tims_str name, char kind, tims_str whom);
/* See tims_rest_share_limits. */
void rest__throttle_share(rest__throttle *throttle, tims_redis *redis, tims_str prefix);
/* Takes one from the bucket of `key`; 0 when it may go on, else how long to wait. */
int64_t rest__throttle_take(rest__throttle *throttle, uint64_t key, tims_rate rate, int64_t now_us);
/* Raises: 429. */
void rest__throttle_request(tims_request *rq, rest__throttle *throttle, tims_str name, tims_rate rate);

/* --- idempotency ------------------------------------------------------------------------------ */

/* The key's value, checked; data == NULL: none was sent. Raises: 400. */
tims_str rest__idempotency_key(tims_request *rq);
/* In the request's transaction: whether this was answered before. Raises: 422 when it was another body. */
bool rest__idempotency_find(tims_request *rq, tims_str key, tims_str body, tims_answer *ret_answer);
void rest__idempotency_keep(tims_request *rq, tims_str key, tims_str location, tims_str etag,
                            tims_str answer);

#endif
