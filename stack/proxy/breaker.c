/* breaker.c: an upstream that fails again and again is left alone for a while.
 *
 *   closed ── so many failures in a row ──► open ── pause ──► one probe ──► closed
 *                                            ▲                   │ fails
 *                                            └───────────────────┘
 *
 * Loops share it without a lock: each step is one atomic, and a count that is off by what ran at the same
 * time does no harm. A request that was under way while it opened and succeeds closes it: that is what a
 * probe would have found. */
#include "proxy/proxy_internal.h"

proxy__gate proxy__breaker_enter(proxy__breaker *breaker, int64_t pause_us, int64_t now_us, int *ret_retry_s)
{
    int64_t until_us = atomic_load(&breaker->open_until_us);
    if (until_us == 0)
        return PROXY__GO;
    if (now_us < until_us) {
        *ret_retry_s = (int)((until_us - now_us + 999999) / 1000000);
        return PROXY__STOP;
    }
    int64_t probe_us = atomic_load(&breaker->probe_until_us);
    if (now_us >= probe_us &&
        atomic_compare_exchange_strong(&breaker->probe_until_us, &probe_us, now_us + pause_us))
        return PROXY__PROBE;
    *ret_retry_s = 1;
    return PROXY__STOP;
}

bool proxy__breaker_succeed(proxy__breaker *breaker)
{
    if (atomic_load_explicit(&breaker->failures, memory_order_relaxed) == 0 &&
        !proxy__breaker_is_open(breaker))
        return false;
    atomic_store(&breaker->failures, 0);
    bool was_open = atomic_exchange(&breaker->open_until_us, 0) != 0;
    atomic_store(&breaker->probe_until_us, 0);
    return was_open;
}

bool proxy__breaker_fail(proxy__breaker *breaker, uint32_t failures_max, int64_t pause_us, int64_t now_us)
{
    bool was_open = proxy__breaker_is_open(breaker), opened = false;
    uint32_t failures = atomic_fetch_add(&breaker->failures, 1) + 1;
    if (failures >= failures_max || was_open) {
        opened = !was_open;
        atomic_store(&breaker->open_until_us, now_us + pause_us);
    }
    atomic_store(&breaker->probe_until_us, 0);
    return opened;
}

void proxy__breaker_let_go(proxy__breaker *breaker)
{
    atomic_store(&breaker->probe_until_us, 0);
}

bool proxy__breaker_is_open(const proxy__breaker *breaker)
{
    return atomic_load(&breaker->open_until_us) != 0;
}
