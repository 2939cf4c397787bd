/* metrics.c: what the room counts, as lines for Prometheus. */
#include <inttypes.h>

#include "live/live_internal.h"

static const int64_t lag_bounds_us[LIVE__LAG_BUCKETS] = { 250,   500,   1000,   2500,   5000,   10000,
                                                          25000, 50000, 100000, 250000, 500000, 1000000 };

void live__metrics_lag(live__metrics *metrics, int64_t lag_us)
{
    int bucket = 0;
    while (bucket < LIVE__LAG_BUCKETS && lag_us > lag_bounds_us[bucket])
        bucket++;
    atomic_fetch_add(&metrics->lag_buckets[bucket], 1);
    atomic_fetch_add(&metrics->lag_count, 1);
    atomic_fetch_add(&metrics->lag_sum_us, (uint64_t)lag_us);
}

static void write_lag(live__metrics *metrics, tims_buf *out)
{
    uint64_t sum = 0;
    tims_buf_append_str(
        out, TIMS_STR("# HELP tims_live_lag_seconds From hearing of a commit to its frames being handed to "
                      "their sockets.\n# TYPE tims_live_lag_seconds histogram\n"));
    for (int i = 0; i < LIVE__LAG_BUCKETS; i++) {
        sum += atomic_load(&metrics->lag_buckets[i]);
        tims_buf_print(out, "tims_live_lag_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
                       (double)lag_bounds_us[i] / 1e6, sum);
    }
    uint64_t count = atomic_load(&metrics->lag_count);
    tims_buf_print(out,
                   "tims_live_lag_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\ntims_live_lag_seconds_sum %g\n"
                   "tims_live_lag_seconds_count %" PRIu64 "\n",
                   count, (double)atomic_load(&metrics->lag_sum_us) / 1e6, count);
}

void tims_live_metrics(tims_live *live, tims_buf *out)
{
    TIMS_CHECK_MAGIC(live, LIVE__MAGIC);
    live__metrics *m = &live->metrics;
    const struct {
        const char *name, *type, *help;
        _Atomic uint64_t *value;
    } rows[] = {
        { "sessions", "gauge", "Open websockets and event streams.", &m->sessions },
        { "subscriptions", "gauge", "Subscriptions of all sessions.", &m->subscribers },
        { "views", "gauge", "Results kept, each once for all who see it.", &m->views },
        { "steps_total", "counter", "Steps of the engine.", &m->steps },
        { "changes_total", "counter", "Changed rows read from the change log.", &m->changes },
        { "floods_total", "counter", "Steps too large to be told row by row.", &m->floods },
        { "matched_views_total", "counter", "Views that a step concerned.", &m->touched },
        { "frames_total", "counter", "Frames handed to sockets and streams.", &m->frames },
        { "frame_bytes_total", "counter", "Bytes of these frames.", &m->bytes },
        { "snaps_total", "counter", "Subscriptions answered with a whole document.", &m->snaps },
        { "resumes_total", "counter", "Subscriptions that went on from a position.", &m->resumes },
        { "resets_total", "counter", "Subscriptions that could not.", &m->resets },
        { "loads_total", "counter", "Documents sent because access was granted or revoked.", &m->loads },
        { "behind_total", "counter", "Times a client read too slowly and was left behind.", &m->behind },
        { "bus_up", "gauge", "1 while other nodes can be heard through Redis.", &m->bus_up },
        { "nodes", "gauge", "Other nodes that are heard through Redis.", &m->bus_peers },
        { "pokes_sent_total", "counter", "Other nodes told that something was committed.", &m->pokes_sent },
        { "pokes_heard_total", "counter", "Told so by them.", &m->pokes_heard },
        { "bus_sent_total", "counter", "Messages on rooms to other nodes.", &m->bus_sent },
        { "bus_heard_total", "counter", "Messages on rooms, our own among them.", &m->bus_heard },
        { "bus_unreadable_total", "counter", "Messages that could not be understood.", &m->bus_unreadable },
        { "group_sent_total", "counter", "Messages to groups, for other nodes.", &m->group_sent },
        { "group_heard_total", "counter", "Messages to groups from other nodes.", &m->group_heard },
        { "group_unsent_total", "counter", "Messages to groups that only this node got.", &m->group_unsent },
        { "slow_total", "counter", "Clients closed because they went on reading too slowly.", &m->slow },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tims_buf_print(out, "# HELP tims_live_%s %s\n# TYPE tims_live_%s %s\ntims_live_%s %" PRIu64 "\n",
                       rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                       atomic_load(rows[i].value));
    write_lag(m, out);
}
