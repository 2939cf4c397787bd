/* sqlite.c: the same SQL as the servers run, prepared once: a row by key; the latest 50 messages of a chat
 * with session, membership and total; an insert with group commit per epoll wake. */
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>

#include "text.h"

enum { WAITING_MAX = 256 };

typedef struct waiting {
    connection *to;
    char answer[1024];
    size_t length;
} waiting;

typedef struct state {
    sqlite3 *db;
    sqlite3_stmt *session, *member, *count, *list, *row, *insert, *begin, *commit;
    waiting waiting[WAITING_MAX];
    size_t waiting_count;
    uint64_t made;
} state;

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
        exit(1);
    }
    return statement;
}

static char *append_column(char *at, sqlite3_stmt *row, int column)
{
    return append(at, sqlite3_column_text(row, column), (size_t)sqlite3_column_bytes(row, column));
}

static char *append_text(char *at, sqlite3_stmt *row, int column)
{
    return append_string(at, (const char *)sqlite3_column_text(row, column),
                         (size_t)sqlite3_column_bytes(row, column));
}

static size_t answer_row(void *data, const char *request, size_t length, connection *from, char *output)
{
    state *s = data;
    char body[1024], *at = body;
    (void)from;
    const char *id = find_after(request, length, "/api/items/");
    sqlite3_bind_text(s->row, 1, id, ID_LENGTH, SQLITE_STATIC);
    if (sqlite3_step(s->row) == SQLITE_ROW) {
        at = APPEND(at, "{\"id\":\"");
        at = append_column(at, s->row, 0);
        at = APPEND(at, "\",\"name\":");
        at = append_text(at, s->row, 1);
        at = APPEND(at, ",\"value\":");
        at = append_column(at, s->row, 2);
        *at++ = '}';
    }
    sqlite3_reset(s->row);
    return with_head(output, "200 OK", body, (size_t)(at - body));
}

/* The user of the session cookie, 36 characters, or NULL. */
static const char *find_user(state *s, const char *request, size_t length, char user[ID_LENGTH])
{
    const char *token = find_after(request, length, "session=");
    sqlite3_bind_text(s->session, 1, token, TOKEN_LENGTH, SQLITE_STATIC);
    bool found = sqlite3_step(s->session) == SQLITE_ROW;
    if (found)
        memcpy(user, sqlite3_column_text(s->session, 0), ID_LENGTH);
    sqlite3_reset(s->session);
    return found ? user : NULL;
}

static bool is_member(state *s, const char *chat, const char *user)
{
    sqlite3_bind_text(s->member, 1, chat, ID_LENGTH, SQLITE_STATIC);
    sqlite3_bind_text(s->member, 2, user, ID_LENGTH, SQLITE_STATIC);
    bool found = sqlite3_step(s->member) == SQLITE_ROW;
    sqlite3_reset(s->member);
    return found;
}

static char *append_message(char *at, sqlite3_stmt *row)
{
    at = APPEND(at, "{\"id\":\"");
    at = append_column(at, row, 0);
    at = APPEND(at, "\",\"chat\":\"");
    at = append_column(at, row, 1);
    at = APPEND(at, "\",\"sender\":\"");
    at = append_column(at, row, 2);
    at = APPEND(at, "\",\"text\":");
    at = append_text(at, row, 3);
    at = APPEND(at, ",\"created_at\":");
    at = append_time(at, sqlite3_column_int64(row, 4));
    *at++ = '}';
    return at;
}

static size_t answer_list(void *data, const char *request, size_t length, connection *from, char *output)
{
    static char body[OUTPUT_BYTES];
    state *s = data;
    char user[ID_LENGTH], *at = APPEND(body, "{\"rows\":[");
    (void)from;
    sqlite3_step(s->begin);
    sqlite3_reset(s->begin);
    const char *chat = find_after(request, length, "chat=");
    const char *me = find_user(s, request, length, user);
    int64_t total = 0;
    if (me != NULL && is_member(s, chat, me)) {
        sqlite3_bind_text(s->count, 1, chat, ID_LENGTH, SQLITE_STATIC);
        sqlite3_step(s->count);
        total = sqlite3_column_int64(s->count, 0);
        sqlite3_reset(s->count);
        sqlite3_bind_text(s->list, 1, chat, ID_LENGTH, SQLITE_STATIC);
        for (int i = 0; sqlite3_step(s->list) == SQLITE_ROW; i++) {
            if (i > 0)
                *at++ = ',';
            at = append_message(at, s->list);
        }
        sqlite3_reset(s->list);
    }
    sqlite3_step(s->commit);
    sqlite3_reset(s->commit);
    at = append_number(APPEND(at, "],\"total\":"), total);
    *at++ = '}';
    return with_head(output, "200 OK", body, (size_t)(at - body));
}

static size_t answer_create(void *data, const char *request, size_t length, connection *from, char *output)
{
    state *s = data;
    char user[ID_LENGTH], id[64];
    const char *chat, *text;
    (void)output;
    size_t chat_length = find_member(request, length, "\"chat\":\"", &chat);
    size_t text_length = find_member(request, length, "\"text\":\"", &text);
    if (s->waiting_count == 0) {
        sqlite3_step(s->begin);
        sqlite3_reset(s->begin);
    }
    waiting *w = &s->waiting[s->waiting_count++];
    w->to = from;
    const char *me = find_user(s, request, length, user);
    if (me == NULL || !is_member(s, chat, me))
        abort();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    snprintf(id, sizeof id, "%08llx-%04llx-7000-8000-%012llx", (unsigned long long)(us / 1000 >> 16),
             (unsigned long long)(us / 1000 & 0xffff), (unsigned long long)++s->made);
    sqlite3_bind_text(s->insert, 1, id, ID_LENGTH, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 2, chat, (int)chat_length, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 3, me, ID_LENGTH, SQLITE_STATIC);
    sqlite3_bind_text(s->insert, 4, text, (int)text_length, SQLITE_STATIC);
    sqlite3_bind_int64(s->insert, 5, us);
    if (sqlite3_step(s->insert) != SQLITE_DONE)
        abort();
    sqlite3_reset(s->insert);
    char body[768], *at = body;
    at += sprintf(
        at, "{\"id\":\"%s\",\"chat\":\"%.36s\",\"sender\":\"%.36s\",\"text\":\"%.*s\",\"created_at\":", id,
        chat, me, (int)text_length, text);
    at = append_time(at, us);
    *at++ = '}';
    w->length = with_head(w->answer, "201 Created", body, (size_t)(at - body));
    return 0;
}

static void commit_group(void *data)
{
    state *s = data;
    if (s->waiting_count == 0)
        return;
    if (sqlite3_step(s->commit) != SQLITE_DONE)
        abort();
    sqlite3_reset(s->commit);
    for (size_t i = 0; i < s->waiting_count; i++)
        limit_finish(s->waiting[i].to, s->waiting[i].answer, s->waiting[i].length);
    s->waiting_count = 0;
}

int limit_sqlite(int port, const char *workload, const char *database)
{
    static state s;
    if (sqlite3_open(database, &s.db) != SQLITE_OK)
        return 1;
    sqlite3_exec(s.db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", NULL,
                 NULL, NULL);
    s.begin = prepare(s.db, "BEGIN");
    s.commit = prepare(s.db, "COMMIT");
    s.session = prepare(s.db, "SELECT user FROM bench_session WHERE token = ?1");
    s.member = prepare(s.db, "SELECT 1 FROM member WHERE chat = ?1 AND user = ?2");
    s.count = prepare(s.db, "SELECT count(*) FROM message WHERE chat = ?1");
    s.list = prepare(s.db, "SELECT id, chat, sender, text, created_at FROM message WHERE chat = ?1 "
                           "ORDER BY created_at DESC, id DESC LIMIT 50");
    s.row = prepare(s.db, "SELECT id, name, value FROM item WHERE id = ?1");
    s.insert =
        prepare(s.db, "INSERT INTO message (id, chat, sender, text, created_at) VALUES (?1, ?2, ?3, ?4, ?5)");
    if (strcmp(workload, "row") == 0)
        return limit_serve(port, answer_row, NULL, &s);
    if (strcmp(workload, "list") == 0)
        return limit_serve(port, answer_list, NULL, &s);
    return limit_serve(port, answer_create, commit_group, &s);
}
