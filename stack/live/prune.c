/* prune.c: the change log's retention: a client may come back within log_keep_s and resume.
 *
 * Log rows have no time; once in a while the feed notes where the log stands. What stood there long enough
 * ago is deleted, a few rows a transaction, so that no writer waits long. The last row always stays: it is
 * the position. After a restart the notes begin anew; a bound on the rows keeps the log finite however often
 * that happens. */
#include "live/live_internal.h"

enum { SAMPLES_MAX = 1024, ROWS_A_DELETE = 500, DELETES_A_TURN = 20 };

typedef struct live__sample {
    int64_t at_us, position;
} live__sample;

/* Notes the position; returns up to where the log may go. */
static int64_t take_sample(live__feed *feed, int64_t position, int64_t now_us)
{
    int64_t keep_us = feed->live->options.log_keep_s * 1000000;
    int64_t every_us = keep_us / (SAMPLES_MAX - 2);
    if (feed->samples == NULL) {
        feed->samples = calloc(SAMPLES_MAX, sizeof *feed->samples);
        TIMS_ASSERT(feed->samples != NULL);
    }
    size_t count = feed->sample_count;
    if (count == 0 || now_us - feed->samples[count - 1].at_us >= every_us)
        feed->samples[feed->sample_count++] = (live__sample){ now_us, position };
    size_t old = 0;
    while (old < feed->sample_count && now_us - feed->samples[old].at_us >= keep_us)
        old++;
    if (old == 0 && feed->sample_count < SAMPLES_MAX)
        return 0;
    size_t drop = old == 0 ? 1 : old;
    int64_t cutoff = old == 0 ? 0 : feed->samples[old - 1].position;
    feed->sample_count -= drop;
    memmove(feed->samples, feed->samples + drop, feed->sample_count * sizeof *feed->samples);
    return cutoff;
}

tims_status live__prune(live__feed *feed, tims_db_session *db, int64_t position, tims_error *err)
{
    int64_t cutoff = take_sample(feed, position, tims_monotonic_us());
    if (cutoff < position - LIVE__LOG_ROWS_MAX)
        cutoff = position - LIVE__LOG_ROWS_MAX;
    if (cutoff >= position)
        cutoff = position - 1;
    for (int i = 0; cutoff > 0 && i < DELETES_A_TURN; i++) {
        const tims_db_value values[] = { tims_db_int(cutoff), tims_db_int(ROWS_A_DELETE) };
        int64_t changed = 0;
        tims_status status = tims_db_run(db,
                                         TIMS_STR("DELETE FROM tims_change WHERE id IN (SELECT id FROM "
                                                  "tims_change WHERE id <= ?1 ORDER BY id LIMIT ?2)"),
                                         values, 2, &changed, err);
        if (status != TIMS_OK)
            return status;
        if (changed < ROWS_A_DELETE)
            break;
    }
    return TIMS_OK;
}
