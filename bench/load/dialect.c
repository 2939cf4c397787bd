/* dialect.c: what is said to each kind of server, and what of its words matters: that a client is live, what
 * it holds, and when it is to come back. Everything else of a frame is only looked through for markers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"

enum { WINDOW_ROWS = 50 };

static bool has(const char *text, size_t length, const char *word)
{
    return memmem(text, length, word, strlen(word)) != NULL;
}

int64_t find_number(const char *text, size_t length, const char *name, int64_t otherwise)
{
    const char *found = memmem(text, length, name, strlen(name));
    if (found == NULL)
        return otherwise;
    int64_t number = 0;
    const char *digit = found + strlen(name);
    for (; digit < text + length && *digit >= '0' && *digit <= '9'; digit++)
        number = number * 10 + (*digit - '0');
    return number;
}

/* The text between `before` and the next quote. */
static void find_text(const char *text, size_t length, const char *before, char *ret, size_t size)
{
    const char *found = memmem(text, length, before, strlen(before));
    if (found == NULL)
        return;
    found += strlen(before);
    const char *end = memchr(found, '"', (size_t)(text + length - found));
    if (end != NULL && (size_t)(end - found) < size) {
        memcpy(ret, found, (size_t)(end - found));
        ret[end - found] = '\0';
    }
}

/* --- Tim's: docs/reference/live-protocol.md ----------------------------------------------------- */

static void tims_greet(crowd *g, client *c)
{
    char text[512], from[64] = "";
    snprintf(text, sizeof text, "{\"t\":\"hello\",\"protocol\":%d}", g->protocol);
    client_say(g, c, text);
    if (c->position >= 0)
        snprintf(from, sizeof from, ",\"from\":\"%s-%lld\",\"limit\":%d", g->epoch, (long long)c->position,
                 WINDOW_ROWS);
    snprintf(text, sizeof text, "{\"t\":\"sub\",\"id\":1,\"url\":\"%s\"%s}",
             g->subscriptions[c->number % g->subscription_count].url, from);
    client_say(g, c, text);
}

static void tims_refused(crowd *g, client *c, const char *text, size_t length)
{
    bool is_older = has(text, length, "\"code\":\"protocol\"") && g->protocol == 2;
    if (is_older)
        g->protocol = 1;
    else if (!has(text, length, "\"status\":503"))
        fail("the server refused: %.*s", (int)length, text);
    client_drop(g, c, is_older ? 0 : -1);
}

static void tims_hear(crowd *g, client *c, const char *text, size_t length)
{
    char kind[16] = "";
    find_text(text, length < 64 ? length : 64, "{\"t\":\"", kind, sizeof kind);
    int64_t position = find_number(text, length, "\"position\":", -1);
    bool is_snap = strcmp(kind, "snap") == 0, is_resumed = strcmp(kind, "resumed") == 0;
    if (strcmp(kind, "tx") == 0 || is_snap || is_resumed) {
        c->position = position;
        publisher_hear(g, c, text, length);
        g->snaps += is_snap;
        g->resumes += is_resumed;
        if (c->state != CLIENT_LIVE && (is_snap || is_resumed))
            client_live(g, c);
    } else if (strcmp(kind, "welcome") == 0) {
        find_text(text, length, "\"epoch\":\"", g->epoch, sizeof g->epoch);
    } else if (strcmp(kind, "pong") == 0) {
        g->told_position = position;
    } else if (strcmp(kind, "reset") == 0) {
        g->resets++;
    } else if (strcmp(kind, "bye") == 0) {
        client_drop(g, c, find_number(text, length, "\"retry_ms\":", -1));
    } else if (strcmp(kind, "error") == 0) {
        tims_refused(g, c, text, length);
    }
}

/* --- ws, Channels and the limit: a frame that comes goes to all ---------------------------------- */

static void plain_hear(crowd *g, client *c, const char *text, size_t length)
{
    publisher_hear(g, c, text, length);
}

static void plain_wrap(char *frame, size_t size, const char *text)
{
    snprintf(frame, size, "%s", text);
}

/* --- socket.io: Engine.IO 4 on a websocket, with its recovery of what was missed ------------------ */

static void io_greet(crowd *g, client *c)
{
    (void)g, (void)c; /* the server speaks first */
}

/* Where recovery is on, an event's last argument is its offset. */
static void io_note_offset(client *c, const char *text, size_t length)
{
    size_t end = length, begin;
    if (length < 4 || text[length - 1] != ']' || text[length - 2] != '"')
        return;
    end -= 2;
    for (begin = end; begin > 0 && text[begin - 1] != '"'; begin--)
        ;
    if (end - begin < sizeof c->offset && !has(text + begin, end - begin, "@@")) {
        memcpy(c->offset, text + begin, end - begin);
        c->offset[end - begin] = '\0';
    }
}

static void io_hear(crowd *g, client *c, const char *text, size_t length)
{
    char answer[256] = "40";
    if (length >= 2 && memcmp(text, "42", 2) == 0) {
        io_note_offset(c, text, length);
        publisher_hear(g, c, text, length);
    } else if (length >= 2 && memcmp(text, "40", 2) == 0) {
        char resume[sizeof c->resume] = "";
        find_text(text, length, "\"pid\":\"", resume, sizeof resume);
        g->resumes += c->resume[0] != '\0' && strcmp(resume, c->resume) == 0;
        memcpy(c->resume, resume, sizeof resume);
        client_live(g, c);
    } else if (length >= 1 && text[0] == '0') {
        if (c->resume[0] != '\0' && c->offset[0] != '\0')
            snprintf(answer, sizeof answer, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", c->resume, c->offset);
        client_say(g, c, answer);
    } else if (length >= 1 && text[0] == '2') {
        client_say(g, c, "3");
    }
}

static void io_wrap(char *frame, size_t size, const char *text)
{
    snprintf(frame, size, "42[\"m\",\"%s\"]", text);
}

const dialect *dialect_find(const char *name)
{
    static const dialect dialects[] = {
        { "tims", "/live", tims_greet, tims_hear, NULL },
        { "plain", "/", client_live, plain_hear, plain_wrap },
        { "socketio", "/socket.io/?EIO=4&transport=websocket", io_greet, io_hear, io_wrap },
    };
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    fail("there is no dialect \"%s\"", name);
}
