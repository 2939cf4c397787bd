/* change_internal.h: what the two dialects say about the change log. */
#ifndef TIMS_CHANGE_INTERNAL_H
#define TIMS_CHANGE_INTERNAL_H

#include "model/migrate_internal.h"

enum { MODEL__CHANGE_DDL_BYTES_MAX = 4 << 20, MODEL__TRIGGERS_A_MODEL = 4 };

typedef struct model__log {
    tims_str position; /* of a log that one writer numbers; empty: positions are snapshots */
    /* (id, model, op, row, old) in order after ?1, at most ?2; read_to: and not after ?3 */
    tims_str read, read_to;
    tims_str last;             /* id of the last row */
    tims_str find_mark;        /* (position, snapshot) that covers what comes after position ?1 */
    tims_str note_mark;        /* ?1 … ?4 into tims_mark, unless one is there since ?5 */
    tims_str prune;            /* at most ?2 log rows that nobody needs who goes on from ?1 */
    tims_str renew_epoch;      /* a new value under 'epoch' */
    tims_str renew_epoch_from; /* the same, unless somebody else did: ?1 is the old one */
    tims_str server_start;     /* when the server was started; empty: there is none */
    tims_str clear_foreign;    /* log rows whose transactions are not this server's */
    tims_str tables;           /* the log's own, made if absent */
    tims_str list_triggers;    /* (name, text) of those that are there */
    /* Four of them, in the arena. */
    void (*add_triggers)(tims_arena *arena, const tims_model *model, model__trigger *triggers);
    void (*add_create)(tims_buf *out, const model__trigger *trigger);
    void (*add_drop)(tims_buf *out, tims_str name); /* fine when it is not there */
} model__log;

extern const model__log model__sqlite_log, model__postgres_log;
const model__log *model__log_of(tims_db_dialect dialect);

/* Calls for the key columns that `old` carries. */
static inline const tims_field *model__next_key(const tims_model *model, size_t *index)
{
    while (*index < model->fields.count) {
        const tims_field *field = &model->fields.items[(*index)++];
        if (tims_change_is_key(model, field))
            return field;
    }
    return NULL;
}

#endif
