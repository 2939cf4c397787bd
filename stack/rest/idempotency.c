/* idempotency.c: a write that is sent twice happens once.
 *
 * The key and the answer are stored in the transaction that writes the row: there is no moment in which one
 * is there without the other. The key is the transaction's first write, so that a second request with it
 * waits for the first, also where others write at the same time. Keys belong to a user (strangers share one
 * name space) and are kept for a day; new ones sweep old ones away, so the table stays as large as a day's
 * keys. */
#include "rest/rest_internal.h"

#include "tims/crypto.h"

enum { KEY_BYTES_MAX = 200, KEEP_S = 24 * 3600, SWEEP_EVERY = 16, SWEEP_ROWS = 128 };

typedef struct idempotency {
    tims_id id;
    tims_str key;         /* "<user id or ->:<what the client chose>" */
    tims_str fingerprint; /* of path and body */
    tims_str location, etag, answer;
    tims_time created_at;
} idempotency;

static const tims_model idempotency_model = {
    .name = "tims_idempotency",
    .doc = "Answers to writes that carried an Idempotency-Key.",
    .size = sizeof(idempotency),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(idempotency, id, .primary = true),
        TIMS_FIELD(idempotency, key, .unique = true, .doc = "Whose, and what the client chose."),
        TIMS_FIELD(idempotency, fingerprint, .doc = "Of the method, the path and the body."),
        TIMS_FIELD(idempotency, location), TIMS_FIELD(idempotency, etag), TIMS_FIELD(idempotency, answer),
        TIMS_FIELD(idempotency, created_at, .auto_now_add = true, .index = true)),
    .not_live = true,
};

/* What this room keeps in the database besides: the key of page cursors. */
typedef struct setting {
    tims_id id;
    tims_str name, value;
} setting;

static const tims_model setting_model = {
    .name = "tims_rest_setting",
    .doc = "What the REST room keeps: the key of page cursors.",
    .size = sizeof(setting),
    .fields = TIMS_FIELDS(TIMS_FIELD(setting, id, .primary = true), TIMS_FIELD(setting, name, .unique = true),
                          TIMS_FIELD(setting, value)),
    .not_live = true,
};

const tims_model *const tims_rest_models[] = { &idempotency_model, &setting_model, NULL };

tims_str rest__idempotency_key(tims_request *rq)
{
    tims_str key = tims_header_of(rq, TIMS_STR("Idempotency-Key"));
    if (key.data == NULL)
        return key;
    bool fine = key.length > 0 && key.length <= KEY_BYTES_MAX;
    for (size_t i = 0; fine && i < key.length; i++)
        fine = key.data[i] > ' ' && key.data[i] < 0x7f;
    if (!fine)
        tims_raise(rq, 400, "idempotency_key",
                   "Idempotency-Key must have 1 to 200 visible ASCII characters.");
    tims_caller caller = tims_caller_of(rq);
    return caller.signed_in ? tims_print(rq->arena, "%I:%S", caller.user, key)
                            : tims_print(rq->arena, "-:%S", key);
}

static tims_str fingerprint_of(tims_request *rq, tims_str body)
{
    char *text = tims_alloc_raw(rq->arena, 32);
    tims_content_hash(tims_print(rq->arena, "%d %S\n%S", (int)rq->method, rq->path, body), text);
    return (tims_str){ text, 32 };
}

/* Waits while another request with this key is under way. False: the key was used before. */
static bool claim(tims_request *rq, tims_str key, tims_str fingerprint)
{
    const tims_db_value values[] = { tims_db_id(tims_id_new()), tims_db_text(key), tims_db_text(fingerprint),
                                     tims_db_int(tims_now().us) };
    return tims_sql_run(
               rq,
               TIMS_STR("INSERT INTO tims_idempotency (id, \"key\", fingerprint, location, etag, answer, "
                        "created_at) VALUES (?1, ?2, ?3, '', '', '', ?4) ON CONFLICT (\"key\") DO "
                        "NOTHING"),
               values, 4) == 1;
}

bool rest__idempotency_find(tims_request *rq, tims_str key, tims_str body, tims_answer *ret_answer)
{
    tims_str fingerprint = fingerprint_of(rq, body);
    if (claim(rq, key, fingerprint))
        return false;
    const idempotency *known = tims_find_by(rq, &idempotency_model, "key", key);
    if (known == NULL) /* swept this moment */
        tims_raise(rq, 409, "serialization", "This Idempotency-Key has just ended; try again.");
    if (!tims_str_equal(known->fingerprint, fingerprint))
        tims_raise(rq, 422, "idempotency_key_reused", "This Idempotency-Key was used with another body.");
    tims_set_header(rq, TIMS_STR("Idempotent-Replayed"), TIMS_STR("true"));
    if (known->location.length > 0)
        tims_set_header(rq, TIMS_STR("Location"), known->location);
    if (known->etag.length > 0)
        tims_set_header(rq, TIMS_STR("ETag"), known->etag);
    /* What a create, an update and a delete leave behind differs, so what is kept tells which it was. */
    if (known->answer.length == 0)
        *ret_answer = tims_answer_empty(204);
    else
        *ret_answer = tims_answer_json(known->location.length > 0 ? 201 : 200, known->answer);
    return true;
}

/* Now and then, so that it costs little, and on PostgreSQL around what others sweep, so that nobody waits. */
static void sweep(tims_request *rq)
{
    static const tims_str old = TIMS_STR_INIT("DELETE FROM tims_idempotency WHERE id IN (SELECT id FROM "
                                              "tims_idempotency WHERE created_at < ?1 ORDER BY created_at "
                                              "LIMIT ?2)");
    static const tims_str free_old =
        TIMS_STR_INIT("DELETE FROM tims_idempotency WHERE id IN (SELECT id FROM "
                      "tims_idempotency WHERE created_at < ?1 ORDER BY created_at "
                      "LIMIT ?2 FOR UPDATE SKIP LOCKED)");
    uint8_t chance;
    tims_random(&chance, sizeof chance);
    if (chance % SWEEP_EVERY != 0)
        return;
    const tims_db_value values[] = { tims_db_int(tims_now().us - (int64_t)KEEP_S * 1000000),
                                     tims_db_int(SWEEP_ROWS) };
    bool on_postgres = tims_db_session_dialect(tims_session_db(rq)) == TIMS_POSTGRES;
    (void)tims_sql_run(rq, on_postgres ? free_old : old, values, 2);
}

void rest__idempotency_keep(tims_request *rq, tims_str key, tims_str location, tims_str etag, tims_str answer)
{
    sweep(rq);
    const tims_db_value values[] = { tims_db_text(key), tims_db_text(location), tims_db_text(etag),
                                     tims_db_text(answer) };
    (void)tims_sql_run(
        rq, TIMS_STR("UPDATE tims_idempotency SET location = ?2, etag = ?3, answer = ?4 WHERE \"key\" = ?1"),
        values, 4);
}
