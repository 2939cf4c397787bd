/* metrics.c: counts and times of this process, for Prometheus. */
#include <inttypes.h>

#include "tasks/worker/worker_internal.h"

static const int64_t bounds_us[TASKS__BUCKETS - 1] = {
    250,    500,    1000,    2500,    5000,     10000,     25000,     50000,
    100000, 250000, 1000000, 5000000, 30000000, 120000000, 600000000,
};

void tasks__count_time(_Atomic int64_t *buckets, _Atomic int64_t *sum, int64_t us)
{
    int bucket = 0;
    if (us < 0)
        us = 0;
    while (bucket < TASKS__BUCKETS - 1 && us > bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(sum, us, memory_order_relaxed);
}

static void write_head(tims_buf *out, const char *name, const char *type, const char *help)
{
    tims_buf_print(out, "# HELP tims_tasks_%s %s\n# TYPE tims_tasks_%s %s\n", name, help, name, type);
}

/* name{queue="…", with what must not stand there written as the format says. */
static void write_queue(tims_buf *out, const char *name, const char *suffix, tims_str queue)
{
    tims_buf_print(out, "tims_tasks_%s%s{queue=\"", name, suffix);
    for (size_t i = 0; i < queue.length; i++) {
        char c = queue.data[i];
        if (c == '\n')
            tims_buf_append_str(out, TIMS_STR("\\n"));
        else if (c == '"' || c == '\\')
            tims_buf_print(out, "\\%c", c);
        else
            tims_buf_append_char(out, c);
    }
    tims_buf_append_char(out, '"');
}

static void write_numbers(const tims_tasks *tasks, tims_buf *out, const char *name, const char *type,
                          const char *help, size_t offset)
{
    write_head(out, name, type, help);
    for (size_t i = 0; i < tasks->count_count; i++) {
        const char *counts = (const char *)&tasks->counts[i];
        write_queue(out, name, "", tasks->counts[i].queue);
        tims_buf_print(out, "} %" PRId64 "\n", atomic_load((const _Atomic int64_t *)(counts + offset)));
    }
}

static void write_depths(const tims_tasks *tasks, tims_buf *out)
{
    static const char *const states[TASKS__DEPTHS] = { "waiting", "later", "running", "blocked", "dead" };
    write_head(
        out, "jobs", "gauge",
        "Jobs there are, for all processes, as this one's worker last counted; 10001: more than that.");
    for (size_t i = 0; i < tasks->count_count; i++)
        for (int depth = 0; atomic_load(&tasks->counts[i].is_counted) && depth < TASKS__DEPTHS; depth++) {
            write_queue(out, "jobs", "", tasks->counts[i].queue);
            tims_buf_print(out, ",state=\"%s\"} %" PRId64 "\n", states[depth],
                           atomic_load(&tasks->counts[i].depths[depth]));
        }
}

static void write_histogram(tims_buf *out, tims_str queue, const char *name, const _Atomic int64_t *buckets,
                            const _Atomic int64_t *sum)
{
    int64_t count = 0;
    for (int i = 0; i < TASKS__BUCKETS; i++) {
        count += atomic_load(&buckets[i]);
        write_queue(out, name, "_bucket", queue);
        if (i < TASKS__BUCKETS - 1)
            tims_buf_print(out, ",le=\"%g\"} %" PRId64 "\n", (double)bounds_us[i] / 1e6, count);
        else
            tims_buf_print(out, ",le=\"+Inf\"} %" PRId64 "\n", count);
    }
    write_queue(out, name, "_sum", queue);
    tims_buf_print(out, "} %.6f\n", (double)atomic_load(sum) / 1e6);
    write_queue(out, name, "_count", queue);
    tims_buf_print(out, "} %" PRId64 "\n", count);
}

#define NUMBERS(name, type, member, help)                 \
    {                                                     \
        name, type, help, offsetof(tasks__counts, member) \
    }

void tims_tasks_metrics(tims_tasks *tasks, tims_buf *out)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } numbers[] = {
        NUMBERS("enqueued_total", "counter", enqueued, "Jobs enqueued, those rolled back included."),
        NUMBERS("started_total", "counter", started, "Runs begun."),
        NUMBERS("done_total", "counter", done, "Jobs done."),
        NUMBERS("failed_total", "counter", failed, "Runs that failed."),
        NUMBERS("retried_total", "counter", retried, "Runs that failed and are tried again."),
        NUMBERS("dead_total", "counter", dead, "Jobs given up, to the dead list."),
        NUMBERS("cancelled_total", "counter", cancelled, "Jobs cancelled while they ran."),
        NUMBERS("expired_total", "counter", expired, "Jobs that began too late."),
        NUMBERS("running", "gauge", running, "Runs now, of this process."),
    };
    TIMS_CHECK_MAGIC(tasks, TASKS__MAGIC);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        write_numbers(tasks, out, numbers[i].name, numbers[i].type, numbers[i].help, numbers[i].offset);
    write_depths(tasks, out);
    write_head(out, "wait_seconds", "histogram", "From when a job might run to when its run begins.");
    for (size_t i = 0; i < tasks->count_count; i++)
        write_histogram(out, tasks->counts[i].queue, "wait_seconds", tasks->counts[i].waited,
                        &tasks->counts[i].wait_us_sum);
    write_head(out, "run_seconds", "histogram", "How long runs take.");
    for (size_t i = 0; i < tasks->count_count; i++)
        write_histogram(out, tasks->counts[i].queue, "run_seconds", tasks->counts[i].ran,
                        &tasks->counts[i].run_us_sum);
}
