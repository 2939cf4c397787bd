/* metrics.c: counts and latencies, for Prometheus. */
#include "tasks/worker_internal.h"

void tasks__count_time(_Atomic int64_t *buckets, _Atomic int64_t *sum, int64_t us)
{
    enum { FIRST_US = 100 };
    int bucket = 0;
    if (us < 0)
        us = 0;
    while (bucket < TASKS__BUCKETS - 1 && us >= ((int64_t)FIRST_US << bucket))
        bucket++;
    atomic_fetch_add_explicit(&buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(sum, us, memory_order_relaxed);
}

void tims_tasks_metrics(tims_tasks *tasks, tims_buf *out)
{
    (void)tasks, (void)out;
}
