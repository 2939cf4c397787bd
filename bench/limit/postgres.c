/* postgres.c: the same work on PostgreSQL, as libpq does it best: prepared statements with binary parameters
 * and results, pipelined.
 *
 * A request is a transaction of its own: it ends with a Sync, which libpq writes at once. `row_together` and
 * `list_together` go further than a server would: reads that one epoll wake has brought share a Sync, and
 * with it a transaction, so that one which fails takes the others along.
 *
 * One connection serves reads best, for they are pipelined and PostgreSQL has one core. Commits wait for the
 * disk, and with some connections PostgreSQL writes the log for many at once. */
#include <libpq-fe.h>
#include <stdlib.h>

#include "text.h"

enum { READERS = 1, WRITERS = 16, WAITING_MAX = 1024, UUID_BYTES = 16, MESSAGE_COLUMNS = 5 };
#define EPOCH_DIFFERENCE_US 946684800000000 /* PostgreSQL counts from 2000 */

typedef struct database {
    connection socket; /* first */
    PGconn *pg;
    connection *waiting[WAITING_MAX]; /* a ring, in the order of the statements */
    size_t first, waiting_count;
    size_t results_due; /* results and Syncs that have not come */
    int64_t total;      /* of the list whose rows come next */
    bool unsent;        /* waits for the Sync that requests share */
} database;

typedef struct state {
    database databases[WRITERS];
    size_t count;
    bool together; /* requests share a Sync */
    void (*take_result)(database *db, const PGresult *result);
} state;

static state the;

/* --- binary values ---------------------------------------------------------------------------- */

static unsigned hex_value(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

static void parse_uuid(const char *text, char *ret_bytes)
{
    for (int i = 0; i < UUID_BYTES; i++) {
        text += *text == '-';
        ret_bytes[i] = (char)(hex_value(text[0]) << 4 | hex_value(text[1]));
        text += 2;
    }
}

static char *append_uuid(char *at, const char *bytes)
{
    static const char digits[] = "0123456789abcdef";
    *at++ = '"';
    for (int i = 0; i < UUID_BYTES; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    *at++ = '"';
    return at;
}

static int64_t get_int64(const PGresult *result, int row, int column)
{
    uint64_t bytes;
    memcpy(&bytes, PQgetvalue(result, row, column), sizeof bytes);
    return (int64_t)__builtin_bswap64(bytes);
}

static char *append_text(char *at, const PGresult *result, int row, int column)
{
    return append_string(at, PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

static char *append_stamp(char *at, const PGresult *result, int row, int column)
{
    return append_time(at, get_int64(result, row, column) + EPOCH_DIFFERENCE_US);
}

/* --- statements under way --------------------------------------------------------------------- */

static _Noreturn void fail(const database *db)
{
    fprintf(stderr, "%s", PQerrorMessage(db->pg));
    exit(1);
}

static database *find_idlest(void)
{
    database *best = &the.databases[0];
    for (size_t i = 1; i < the.count && best->waiting_count > 0; i++)
        if (the.databases[i].waiting_count < best->waiting_count)
            best = &the.databases[i];
    return best;
}

static void send_statement(database *db, const char *name, int count, const char *const *values,
                           const int *lengths)
{
    static const int binary[] = { 1, 1, 1, 1 };
    if (!PQsendQueryPrepared(db->pg, name, count, values, lengths, binary, 1))
        fail(db);
    db->results_due++;
}

static void finish_first(database *db, const char *status, const char *body, size_t length)
{
    static char output[OUTPUT_BYTES];
    connection *to = db->waiting[db->first];
    db->first = (db->first + 1) % WAITING_MAX;
    db->waiting_count--;
    limit_finish(to, output, with_head(output, status, body, length));
}

static void send_sync(database *db)
{
    if (!PQpipelineSync(db->pg))
        fail(db);
    db->results_due++;
}

/* The request's statements are sent: its answer is due when they have come. */
static void wait_for(database *db, connection *from)
{
    if (db->waiting_count == WAITING_MAX)
        abort();
    db->waiting[(db->first + db->waiting_count++) % WAITING_MAX] = from;
    db->unsent = the.together;
    if (!the.together)
        send_sync(db);
}

static void sync_all(void *data)
{
    (void)data;
    for (size_t i = 0; i < the.count; i++)
        if (the.databases[i].unsent) {
            send_sync(&the.databases[i]);
            the.databases[i].unsent = false;
        }
}

static void take_results(connection *socket)
{
    database *db = (database *)socket;
    if (!PQconsumeInput(db->pg))
        fail(db);
    while (db->results_due > 0 && !PQisBusy(db->pg)) {
        PGresult *result = PQgetResult(db->pg);
        if (result == NULL)
            continue; /* between two statements */
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK)
            the.take_result(db, result);
        else if (status != PGRES_PIPELINE_SYNC)
            fail(db);
        db->results_due--;
        PQclear(result);
    }
}

/* --- a row by key ----------------------------------------------------------------------------- */

static void take_row(database *db, const PGresult *result)
{
    char body[1024], *at = body;
    if (PQntuples(result) == 1) {
        at = append_uuid(APPEND(at, "{\"id\":"), PQgetvalue(result, 0, 0));
        at = append_text(APPEND(at, ",\"name\":"), result, 0, 1);
        at = append_number(APPEND(at, ",\"value\":"), get_int64(result, 0, 2));
        *at++ = '}';
    }
    finish_first(db, "200 OK", body, (size_t)(at - body));
}

static size_t answer_row(void *data, const char *request, size_t length, connection *from, char *output)
{
    char id[UUID_BYTES];
    database *db = find_idlest();
    (void)data, (void)output;
    parse_uuid(find_after(request, length, "/api/items/"), id);
    send_statement(db, "row", 1, (const char *[]){ id }, (int[]){ UUID_BYTES });
    wait_for(db, from);
    return 0;
}

/* --- the latest 50 messages of a chat ---------------------------------------------------------- */

static char *append_message(char *at, const PGresult *result, int row)
{
    at = append_uuid(APPEND(at, "{\"id\":"), PQgetvalue(result, row, 0));
    at = append_uuid(APPEND(at, ",\"chat\":"), PQgetvalue(result, row, 1));
    at = append_uuid(APPEND(at, ",\"sender\":"), PQgetvalue(result, row, 2));
    at = append_text(APPEND(at, ",\"text\":"), result, row, 3);
    at = append_stamp(APPEND(at, ",\"created_at\":"), result, row, 4);
    *at++ = '}';
    return at;
}

/* The total comes first, and only for a member. */
static void take_list(database *db, const PGresult *result)
{
    static char body[OUTPUT_BYTES];
    if (PQnfields(result) == 1) {
        db->total = PQntuples(result) == 1 ? get_int64(result, 0, 0) : -1;
        return;
    }
    char *at = APPEND(body, "{\"rows\":[");
    for (int i = 0, count = db->total >= 0 ? PQntuples(result) : 0; i < count; i++) {
        if (i > 0)
            *at++ = ',';
        at = append_message(at, result, i);
    }
    at = append_number(APPEND(at, "],\"total\":"), db->total);
    *at++ = '}';
    finish_first(db, "200 OK", body, (size_t)(at - body));
}

static size_t answer_list(void *data, const char *request, size_t length, connection *from, char *output)
{
    char chat[UUID_BYTES];
    const char *values[] = { chat, find_after(request, length, "session=") };
    database *db = find_idlest();
    (void)data, (void)output;
    parse_uuid(find_after(request, length, "chat="), chat);
    send_statement(db, "total", 2, values, (int[]){ UUID_BYTES, TOKEN_LENGTH });
    send_statement(db, "list", 1, values, (int[]){ UUID_BYTES });
    wait_for(db, from);
    return 0;
}

/* --- an insert -------------------------------------------------------------------------------- */

static void take_insert(database *db, const PGresult *result)
{
    static char body[OUTPUT_BYTES];
    if (PQntuples(result) != 1 || PQnfields(result) != MESSAGE_COLUMNS)
        abort(); /* no member: the load has none such */
    finish_first(db, "201 Created", body, (size_t)(append_message(body, result, 0) - body));
}

static size_t answer_create(void *data, const char *request, size_t length, connection *from, char *output)
{
    char chat[UUID_BYTES];
    const char *chat_text, *text;
    (void)data, (void)output;
    find_member(request, length, "\"chat\":\"", &chat_text);
    size_t text_length = find_member(request, length, "\"text\":\"", &text);
    parse_uuid(chat_text, chat);
    database *db = find_idlest();
    send_statement(db, "insert", 3, (const char *[]){ chat, text, find_after(request, length, "session=") },
                   (int[]){ UUID_BYTES, (int)text_length, TOKEN_LENGTH });
    wait_for(db, from);
    return 0;
}

/* --- setting up ------------------------------------------------------------------------------- */

static void run(database *db, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK)
        fail(db);
    PQclear(result);
}

static void open_database(database *db, const char *url, bool reads)
{
    static const struct {
        const char *name, *sql;
    } statements[] = {
        { "row", "SELECT id, name, value FROM item WHERE id = $1" },
        { "total", "SELECT (SELECT count(*) FROM message WHERE chat = $1) FROM bench_session AS s "
                   "JOIN member AS m ON m.\"user\" = s.\"user\" AND m.chat = $1 WHERE s.token = $2" },
        { "list", "SELECT id, chat, sender, text, created_at FROM message WHERE chat = $1 "
                  "ORDER BY created_at DESC, id DESC LIMIT 50" },
        { "insert", "INSERT INTO message (id, chat, sender, text, created_at) "
                    "SELECT gen_random_uuid(), $1, s.\"user\", $2, now() FROM bench_session AS s "
                    "JOIN member AS m ON m.\"user\" = s.\"user\" AND m.chat = $1 WHERE s.token = $3 "
                    "RETURNING id, chat, sender, text, created_at" },
    };
    db->pg = PQconnectdb(url);
    if (PQstatus(db->pg) != CONNECTION_OK)
        fail(db);
    if (reads)
        run(db, PQexec(db->pg, "SET default_transaction_isolation = 'repeatable read'"));
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        run(db, PQprepare(db->pg, statements[i].name, statements[i].sql, 0, NULL));
    if (PQsetnonblocking(db->pg, 1) != 0 || !PQenterPipelineMode(db->pg))
        fail(db);
    db->socket = (connection){ .fd = PQsocket(db->pg), .on_input = take_results };
    limit_watch(&db->socket);
}

int limit_postgres(int port, const char *workload, const char *url)
{
    bool create = strcmp(workload, "create") == 0, row = strncmp(workload, "row", 3) == 0;
    the.take_result = create ? take_insert : row ? take_row : take_list;
    the.together = strstr(workload, "_together") != NULL;
    the.count = create ? WRITERS : READERS;
    for (size_t i = 0; i < the.count; i++)
        open_database(&the.databases[i], url, !create);
    return limit_serve(port, create ? answer_create : row ? answer_row : answer_list, sync_all, &the);
}
