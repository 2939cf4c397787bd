/* retention.c: where the log stood, and how long it is kept: a client may come back within log_keep_s and
 * resume.
 *
 * After steps that read something the feed notes where it stands, once in a while: from there a process that
 * has just started can read on, and what is older than the retention goes. Several nodes share the notes of
 * one database: whoever comes first writes. */
#include "live/live_internal.h"

/* A client that comes to a node without history starts at the note before it, so notes are close; but each is
 * a write. Where a retention is short, ten of them fit into it. */
enum { NOTE_US = 2000000, NOTES_IN_RETENTION = 10 };

static int64_t note_every_us(const live__feed *feed)
{
    int64_t tenth_us = feed->live->options.log_keep_s * 1000000 / NOTES_IN_RETENTION;
    return tenth_us < NOTE_US ? tenth_us : NOTE_US;
}

static bool wants_note(const live__feed *feed, int64_t now_us)
{
    return feed->live->engine.log_id != feed->noted_log_id && now_us - feed->noted_us >= note_every_us(feed);
}

static bool wants_prune(const live__feed *feed, int64_t now_us)
{
    return now_us - feed->pruned_us >= feed->live->limits.prune_ms * INT64_C(1000);
}

bool live__retention_is_due(const live__feed *feed)
{
    int64_t now_us = tims_monotonic_us();
    return wants_note(feed, now_us) || wants_prune(feed, now_us);
}

void live__retention_keep(tims_request *rq, void *argument)
{
    live__feed *feed = argument;
    const live__engine *engine = &feed->live->engine;
    const tims_mark mark = live__engine_mark(engine);
    int64_t log_id = engine->log_id, now_us = tims_monotonic_us();
    tims_error err = { 0 };
    tims_request_set_db(rq, feed->live->db);
    tims_db_session *db = tims_session_db(rq);
    if (wants_note(feed, now_us)) {
        feed->noted_us = now_us;
        tims_check(rq, tims_mark_note(db, &mark, log_id, note_every_us(feed), &err), &err);
        feed->noted_log_id = log_id;
        live__witness_note(feed->live);
    }
    if (wants_prune(feed, now_us)) {
        const tims_retention keep = { feed->live->options.log_keep_s, LIVE__LOG_ROWS_MAX };
        feed->pruned_us = now_us;
        tims_check(rq, tims_change_prune(db, rq->arena, &keep, &mark, log_id, &err), &err);
    }
}
