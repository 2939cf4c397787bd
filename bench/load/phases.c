/* phases.c: what a crowd does once it stands; main.c says which words ask for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crowd.h"

enum { DROP_EVERY_S = 10, DROP_S = 2, SETTLE_S = 120, QUIET_S = 15, PATIENCE_S = 60, OPEN_CHANGES_MIN = 20 };

/* --- changes ------------------------------------------------------------------------------------ */

/* Until then, and until so many deliveries were made in all, but no longer than PATIENCE_S after it. */
static void run_changes(crowd *g, uint64_t until, uint64_t deliveries)
{
    uint64_t now, last = until + PATIENCE_S * (uint64_t)SECOND_NS;
    while ((now = now_ns()) < until || (g->publisher.all_deliveries < deliveries && now < last)) {
        publisher_pump(g);
        poll_once(g, g->publisher.gap_ns > 0 ? 1 : 10);
        clients_return(g, 0);
    }
}

static void start_counting(publisher *p)
{
    memset(&p->since_due, 0, sizeof p->since_due);
    memset(&p->since_commit, 0, sizeof p->since_commit);
    memset(&p->commits, 0, sizeof p->commits);
    p->deliveries = p->frames = 0;
    p->counting = true;
}

/* Until everything has arrived that was published; or everybody is there and nothing comes any more. */
static void settle(crowd *g)
{
    uint64_t now, until = now_ns() + SETTLE_S * (uint64_t)SECOND_NS, last = 0, last_ns = now_ns();
    while ((g->publisher.outstanding > 0 || g->live < g->count) && (now = now_ns()) < until) {
        poll_once(g, 10);
        clients_return(g, 0);
        if (g->publisher.all_deliveries != last || g->live < g->count) {
            last = g->publisher.all_deliveries;
            last_ns = now;
        }
        if (now - last_ns > QUIET_S * (uint64_t)SECOND_NS)
            return;
    }
}

static void print_changes(const publisher *p, double elapsed, uint64_t all)
{
    static const struct {
        const char *name;
        double part;
    } at[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "p999", 0.999 } };
    printf("{\"deliveries\":%llu,\"all\":%llu,\"per_second\":%.1f,\"frames_per_second\":%.1f,\"missing\":%u",
           (unsigned long long)p->deliveries, (unsigned long long)all, (double)p->deliveries / elapsed,
           (double)p->frames / elapsed, p->outstanding);
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        printf(",\"%s_ms\":%.3f,\"commit_%s_ms\":%.3f", at[i].name,
               histogram_quantile(&p->since_due, at[i].part), at[i].name,
               histogram_quantile(&p->since_commit, at[i].part));
    printf(",\"write_p50_ms\":%.3f}\n", histogram_quantile(&p->commits, 0.5));
}

/* A second to warm up, then what is counted: for the time asked, and long enough to be a rate at all. */
static void run_loop(crowd *g, uint32_t window, uint64_t gap_ns, uint64_t seconds)
{
    publisher *p = &g->publisher;
    uint64_t before = p->all_deliveries, length = seconds * SECOND_NS;
    uint64_t round =
        gap_ns > 0 ? 0 : (uint64_t)g->count * (window > 0 ? window : 1); /* all that is outstanding */
    p->window = window;
    p->gap_ns = gap_ns;
    p->due_ns = now_ns();
    run_changes(g, now_ns() + SECOND_NS, before + round);
    start_counting(p);
    uint64_t start = now_ns();
    if (length < OPEN_CHANGES_MIN * gap_ns)
        length = OPEN_CHANGES_MIN * gap_ns;
    run_changes(g, start + length, p->all_deliveries + 3 * round);
    double elapsed = (double)(now_ns() - start) / SECOND_NS;
    if (gap_ns > 0)
        settle(g); /* the slowest are part of the latency */
    p->counting = false;
    settle(g);
    print_changes(p, elapsed, p->all_deliveries - before);
}

/* --- the other phases --------------------------------------------------------------------------- */

static void idle(crowd *g, uint64_t seconds)
{
    uint64_t until = now_ns() + seconds * SECOND_NS;
    while (now_ns() < until)
        poll_once(g, 100);
    printf("{\"live\":%zu}\n", g->live);
}

static void ask_position(crowd *g, int64_t wanted, uint64_t seconds)
{
    uint64_t until = now_ns() + seconds * SECOND_NS;
    while (g->told_position < wanted && now_ns() < until) {
        client_say(g, &g->clients[0], "{\"t\":\"ping\"}");
        poll_once(g, 100);
        usleep(500);
    }
    printf("{\"position\":%lld,\"at_ns\":%llu}\n", (long long)g->told_position, (unsigned long long)now_ns());
}

static void outage(crowd *g, uint64_t seconds)
{
    uint64_t start = now_ns(), until = start + seconds * SECOND_NS, connects = g->connects;
    g->ever_dropped = g->snaps = g->resumes = g->resets = 0;
    for (size_t i = 0; i < g->count; i++)
        g->clients[i].drops = 0;
    while ((g->ever_dropped < g->count || g->live < g->count) && now_ns() < until) {
        poll_once(g, 5);
        clients_return(g, 0);
    }
    printf("{\"live\":%zu,\"all_live_at_ns\":%llu,\"dials\":%llu,\"snaps\":%llu,\"resumed\":%llu,\"resets\":%"
           "llu}\n",
           g->live, (unsigned long long)now_ns(), (unsigned long long)(g->connects - connects),
           (unsigned long long)g->snaps, (unsigned long long)g->resumes, (unsigned long long)g->resets);
}

static void drops(crowd *g, uint64_t rate, uint64_t seconds)
{
    publisher *p = &g->publisher;
    for (size_t i = 0; i < g->count; i++)
        g->clients[i].seen = calloc(CHANGES_MAX / 8, 1);
    g->snaps = g->resumes = g->resets = 0;
    p->gap_ns = SECOND_NS / rate;
    p->due_ns = now_ns();
    start_counting(p);
    uint64_t end = now_ns() + seconds * SECOND_NS;
    while (now_ns() < end) {
        run_changes(g, now_ns() + (DROP_EVERY_S - DROP_S) * (uint64_t)SECOND_NS, 0);
        proxy_fail(g);
        run_changes(g, now_ns() + DROP_S * (uint64_t)SECOND_NS, 0);
        proxy_heal(g);
    }
    settle(g); /* the backoff of some is long by now */
    p->counting = false;
    uint64_t wanted = (uint64_t)p->published * g->count;
    printf(
        "{\"published\":%u,\"delivered\":%llu,\"wanted\":%llu,\"part\":%.6f,\"snaps\":%llu,\"resumed\":%llu,"
        "\"resets\":%llu,\"live\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
        p->published, (unsigned long long)p->deliveries, (unsigned long long)wanted,
        (double)p->deliveries / (double)wanted, (unsigned long long)g->snaps, (unsigned long long)g->resumes,
        (unsigned long long)g->resets, g->live, histogram_quantile(&p->since_due, 0.5),
        histogram_quantile(&p->since_due, 0.99));
}

void do_phase(crowd *g, const char *line)
{
    char name[16];
    double first = 0, second = 0;
    if (sscanf(line, "%15s %lf %lf", name, &first, &second) < 2)
        fail("what is \"%s\"?", line);
    if (strcmp(name, "closed") == 0)
        run_loop(g, (uint32_t)first, 0, (uint64_t)second);
    else if (strcmp(name, "open") == 0)
        run_loop(g, 0, (uint64_t)(SECOND_NS / first), (uint64_t)second);
    else if (strcmp(name, "idle") == 0)
        idle(g, (uint64_t)first);
    else if (strcmp(name, "position") == 0)
        ask_position(g, (int64_t)first, (uint64_t)second);
    else if (strcmp(name, "outage") == 0)
        outage(g, (uint64_t)first);
    else if (strcmp(name, "drops") == 0)
        drops(g, (uint64_t)first, (uint64_t)second);
    else
        fail("what is \"%s\"?", line);
}
