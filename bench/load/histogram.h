/* histogram.h: latencies in microseconds, counted in buckets of 1.6 % of their value, so that millions of
 * them cost some kilobytes and a quantile is never further off than that. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 64 * 36 };

typedef struct histogram {
    uint64_t count;
    uint32_t buckets[HISTOGRAM_BUCKETS];
} histogram;

static inline void histogram_add(histogram *h, uint64_t us)
{
    int bits = 64 - __builtin_clzll(us | 1), shift = bits > 7 ? bits - 7 : 0;
    uint64_t index = (uint64_t)shift * HISTOGRAM_STEPS + (us >> shift);
    h->buckets[index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1]++;
    h->count++;
}

/* Milliseconds; 0 when nothing was counted. */
static inline double histogram_quantile(const histogram *h, double part)
{
    uint64_t wanted = (uint64_t)((double)h->count * part), seen = 0;
    for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen <= wanted)
            continue;
        uint64_t shift = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;
        return (double)((i - shift * HISTOGRAM_STEPS) << shift) / 1000;
    }
    return 0;
}

#endif
