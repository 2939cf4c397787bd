/* publish.c: makes changes, and counts where they arrive.
 *
 * Closed loop: so many changes are outstanding, the next begins when one has reached everybody; or one
 * follows the other, so closely that the server need not wait and so that each is a step of its own. Open
 * loop: a change is due at fixed times, whatever has become of the ones before, and latency counts from when
 * it was due, so that a server which falls behind cannot hide it. A change is committed when the server says
 * so (the answer to the POST) or when the first client has it, whichever is sooner; for a frame, when it is
 * sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "crowd.h"

/* --- arriving ---------------------------------------------------------------------------------- */

static void deliver(crowd *g, client *c, uint32_t number)
{
    publisher *p = &g->publisher;
    change *one = &p->changes[number];
    if (number >= p->published || one->left == 0)
        return;
    if (c->seen != NULL) {
        if ((c->seen[number / 8] >> number % 8 & 1) != 0)
            return;
        c->seen[number / 8] |= (uint8_t)(1 << number % 8);
    }
    if (one->committed_ns == 0)
        one->committed_ns = g->now_ns;
    one->reached = true;
    if (--one->left == 0)
        p->outstanding--;
    p->all_deliveries++;
    if (!p->counting)
        return;
    p->deliveries++;
    histogram_add(&p->since_due, (g->now_ns - one->due_ns) / 1000);
    histogram_add(&p->since_commit,
                  g->now_ns > one->committed_ns ? (g->now_ns - one->committed_ns) / 1000 : 0);
}

void publisher_hear(crowd *g, client *c, const char *text, size_t length)
{
    const char *end = text + length;
    if (c->publishes)
        return;
    bool any = false;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), "@@", 2)) != NULL;) {
        uint32_t number = 0;
        const char *digit = at + 2;
        for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
            number = number * 10 + (uint32_t)(*digit - '0');
        at += 2;
        if (digit - at != MARKER_BYTES - 4 || end - digit < 2 || memcmp(digit, "@@", 2) != 0)
            continue;
        at = digit + 2;
        any = true;
        if (number < CHANGES_MAX)
            deliver(g, c, number);
    }
    if (any && g->publisher.counting)
        g->publisher.frames++;
}

/* --- over HTTP --------------------------------------------------------------------------------- */

static bool is_whole(const poster *p)
{
    const char *end = memmem(p->answer, p->length, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    size_t head = (size_t)(end - p->answer) + 4;
    const char *field = strcasestr(p->answer, "content-length: ");
    long body = field != NULL ? strtol(field + 16, NULL, 10) : 0;
    return p->length >= head + (size_t)body;
}

static void hear_answer(crowd *g, source *s, uint32_t events)
{
    poster *p = (poster *)s;
    (void)events;
    ssize_t got = read(p->fd, p->answer + p->length, sizeof p->answer - 1 - p->length);
    if (got <= 0) {
        if (p->busy)
            fail("the server has closed a connection on which a change was made");
        close(p->fd); /* it was idle for too long, or the server stops */
        p->fd = -1;
        return;
    }
    p->length += (size_t)got;
    p->answer[p->length] = '\0';
    if (!is_whole(p))
        return;
    if (memcmp(p->answer, "HTTP/1.1 201", 12) != 0)
        fail("a change was refused: %s", p->answer);
    change *one = &g->publisher.changes[p->number];
    uint64_t now = now_ns();
    if (one->committed_ns == 0)
        one->committed_ns = now;
    if (g->publisher.counting)
        histogram_add(&g->publisher.commits, (now - one->due_ns) / 1000);
    p->busy = false;
    p->length = 0;
}

static void post(crowd *g, poster *p, uint32_t number, const target *to)
{
    char request[1024], body[256];
    const session *who = &g->sessions[to->session];
    int length = snprintf(body, sizeof body, "{\"chat\":\"%s\",\"text\":\"@@%07u@@\"}", to->chat, number);
    int total =
        snprintf(request, sizeof request,
                 "POST /api/messages/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: %s\r\nX-CSRF-Token: %s\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 g->port, who->cookie, who->csrf, length, body);
    p->busy = true;
    p->number = number;
    if (p->fd < 0) {
        p->fd = dial_now(g->port);
        watch(g, &p->source, p->fd, EPOLLIN);
    }
    send_all(p->fd, request, (size_t)total);
}

/* --- as a frame -------------------------------------------------------------------------------- */

static void send_change(crowd *g, uint32_t number)
{
    char text[ROW_BYTES + 1], frame[ROW_BYTES + 32];
    int length = snprintf(text, sizeof text, "@@%07u@@", number);
    memset(text + length, 'x', (size_t)(ROW_BYTES - length));
    text[ROW_BYTES] = '\0';
    g->dialect->wrap(frame, sizeof frame, text);
    client_say(g, &g->publisher.frames_out, frame);
}

/* --- making ------------------------------------------------------------------------------------ */

static poster *find_free_poster(publisher *p)
{
    for (size_t i = 0; i < p->poster_count; i++)
        if (!p->posters[i].busy)
            return &p->posters[i];
    return NULL;
}

/* False: nobody is free to bring it. */
static bool make_change(crowd *g, uint64_t due_ns)
{
    publisher *p = &g->publisher;
    uint32_t number = p->published;
    if (number == CHANGES_MAX)
        fail("more than %d changes", CHANGES_MAX);
    bool by_frame = g->dialect->wrap != NULL;
    poster *free_one = by_frame ? NULL : find_free_poster(p);
    if (!by_frame && free_one == NULL)
        return false;
    const target *to = by_frame ? NULL : &g->targets[number % g->target_count];
    uint32_t audience = to != NULL && to->audience > 0 ? to->audience : (uint32_t)g->count;
    p->changes[number] =
        (change){ .due_ns = due_ns, .left = audience, .committed_ns = by_frame ? now_ns() : 0 };
    p->published++;
    p->outstanding++;
    if (by_frame)
        send_change(g, number);
    else
        post(g, free_one, number, to);
    return true;
}

static bool has_room(const publisher *p)
{
    if (p->window > 0)
        return p->outstanding < p->window;
    return p->published == 0 || p->changes[p->published - 1].reached;
}

void publisher_pump(crowd *g)
{
    publisher *p = &g->publisher;
    if (p->gap_ns == 0) {
        while (has_room(p) && make_change(g, now_ns()))
            ;
        return;
    }
    uint64_t now = now_ns();
    while (p->due_ns <= now && make_change(g, p->due_ns))
        p->due_ns += p->gap_ns;
}

void publisher_open(crowd *g)
{
    publisher *p = &g->publisher;
    p->changes = calloc(CHANGES_MAX, sizeof *p->changes);
    if (g->dialect->wrap != NULL) {
        p->frames_out.publishes = true;
        p->frames_out.position = -1;
        client_dial(g, &p->frames_out);
        return;
    }
    p->poster_count = POSTERS_MAX;
    for (size_t i = 0; i < p->poster_count; i++) {
        p->posters[i].source.on_event = hear_answer;
        p->posters[i].fd = -1;
    }
}
