/* computed_test.c: endpoints computed from models: what GET answers, and what live gets to run them again. */
#include "rest/testing.h"

/* --- endpoints -------------------------------------------------------------------------------- */

/* {"<room>": notes}, of the caller's rooms. */
static void write_counts(tims_request *rq, tims_json_writer *w)
{
    size_t count;
    const room *rooms = tims_select(rq, &room_model, &count, NULL);
    tims_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        tims_json_key(w, tims_print(rq->arena, "%I", rooms[i].id));
        tims_json_int(w, tims_count(rq, &note_model, "room=%I", rooms[i].id));
    }
    tims_json_end_object(w);
}

static void write_people(tims_request *rq, tims_json_writer *w)
{
    tims_json_int(w, tims_count(rq, &person_model, NULL));
}

static void write_title(tims_request *rq, tims_json_writer *w)
{
    tims_id id = { { 0 } };
    if (!tims_id_parse(tims_query_get(rq, TIMS_STR("room")), &id))
        tims_raise(rq, 400, "no_room", "Which room?");
    tims_json_str(w, ((const room *)tims_get(rq, &room_model, id))->title); /* Raises: 404 */
}

static void write_nothing(tims_request *rq, tims_json_writer *w)
{
    (void)rq;
    (void)w;
}

static void write_half(tims_request *rq, tims_json_writer *w)
{
    (void)rq;
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("half"));
}

static void write_and_change(tims_request *rq, tims_json_writer *w)
{
    tims_create(rq, &person_model, &(person){ .name = TIMS_STR("x"), .secret = TIMS_STR("") });
    tims_json_null(w);
}

static void write_by_sql(tims_request *rq, tims_json_writer *w)
{
    if (tims_query_get(rq, TIMS_STR("named")).data != NULL)
        tims_reads_model(rq, &person_model);
    tims_db_rows *rows = tims_sql_query(rq, TIMS_STR("SELECT count(*) FROM person"), NULL, 0);
    assert_true(tims_db_next(rows));
    tims_json_int(w, tims_db_get_int(rows, 0)); /* and leaves the rows open */
}

static const tims_computed endpoints[] = {
    { .path = "/api/counts/",
      .write = write_counts,
      .access = tims_access_signed_in,
      .doc = "Notes a room." },
    { .path = "/api/people-count/", .write = write_people, .access = tims_access_staff },
    { .path = "/api/title/", .write = write_title },
    { .path = "/api/nothing/", .write = write_nothing },
    { .path = "/api/half/", .write = write_half },
    { .path = "/api/change/", .write = write_and_change },
    { .path = "/api/sql/", .write = write_by_sql },
    { 0 },
};

/* --- GET -------------------------------------------------------------------------------------- */

static void get_answers_what_the_endpoint_writes(void **state)
{
    world *w = *state;
    reply r = get(w, "ann", "/api/counts/");
    assert_status(r, 200);
    assert_str(r.body, "{\"" ROOM1 "\":7}");
    assert_str(header(&r, "Content-Type"), "application/json");
    assert_int_equal(tims_str_find(header(&r, "Tims-Position"), TIMS_STR("-")), REST__EPOCH_LENGTH);
    tims_str again = tims_print(w->arena, "If-None-Match: %S\r\n", header(&r, "ETag"));
    assert_status(ask(w, "ann", "GET", TIMS_STR("/api/counts/"), again.data, NULL), 304);
    r = ask(w, "eve", "GET", TIMS_STR("/api/counts/"), again.data, NULL);
    assert_status(r, 200);
    assert_str(r.body, "{\"" ROOM2 "\":2}");
    assert_str(get(w, NULL, "/api/counts/").body, "{}");
}

static void get_reads_its_query_and_raises(void **state)
{
    static const struct {
        const char *user, *path;
        int status;
        const char *body;
    } table[] = {
        { "ann", "/api/title/?room=" ROOM1, 200, "\"" },
        { "ann", "/api/title/?room=" ROOM2, 404, "not_found" },
        { NULL, "/api/title/?room=" ROOM1, 401, "unauthorized" },
        { "ann", "/api/title/", 400, "no_room" },
        { "ann", "/api/nothing/", 500, "incomplete" },
        { "ann", "/api/half/", 500, "incomplete" },
        { "ann", "/api/change/", 500, "only_reads" },
        { "ann", "/api/sql/", 500, "unknown_reads" },
        { "ann", "/api/sql/?named=1", 200, "3" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        reply r = get(*state, table[i].user, table[i].path);
        assert_status(r, table[i].status);
        assert_contains(r.body, table[i].body);
    }
    assert_status(ask(*state, "ann", "POST", TIMS_STR("/api/title/"), "", "{}"), 405);
}

static void an_event_stream_is_handed_to_live(void **state)
{
    reply r = ask(*state, "ann", "GET", TIMS_STR("/api/counts/?a=1"), "Accept: text/event-stream\r\n", NULL);
    assert_str(r.body, "stream of /api/counts/?a=1");
}

/* --- URLs ------------------------------------------------------------------------------------- */

static void urls_are_resolved_for_live(void **state)
{
    world *w = *state;
    const tims_caller nobody = { 0 }, ann = caller_named(TIMS_STR("ann")),
                      staff = { .signed_in = true, .staff = true }, trusted = { .trusted = true };
    const struct {
        const char *url;
        tims_caller caller;
        tims_status status;
        const char *canonical;
    } table[] = {
        { "/api/counts/", ann, TIMS_OK, "/api/counts/" },
        { "/api/counts/?", ann, TIMS_OK, "/api/counts/" },
        { "/api/counts/?b=%41&a=1", ann, TIMS_OK, "/api/counts/?a=1&b=A" },
        { "/api/counts/?b=2&a=x%26y&b=1", ann, TIMS_OK, "/api/counts/?a=x%26y&b=2&b=1" },
        { "/api/counts/", nobody, TIMS_UNAUTHORIZED, "" },
        { "/api/counts/", trusted, TIMS_OK, "/api/counts/" },
        { "/api/people-count/", nobody, TIMS_UNAUTHORIZED, "" },
        { "/api/people-count/", ann, TIMS_FORBIDDEN, "" },
        { "/api/people-count/", staff, TIMS_OK, "/api/people-count/" },
        { "/api/title/", nobody, TIMS_OK, "/api/title/" },
        { "/api/counts", ann, TIMS_NOT_FOUND, "" },
        { "/api/notes/", ann, TIMS_NOT_FOUND, "" },
        { "/api/counts/" ROOM1 "/", ann, TIMS_NOT_FOUND, "" },
        { "api/counts/", ann, TIMS_INVALID, "" },
        { "", ann, TIMS_INVALID, "" },
        { "/api/counts/?a=%zz", ann, TIMS_INVALID, "" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tims_computed_url url = { 0 };
        tims_error err = { 0 };
        tims_status status = tims_rest_resolve_computed(w->rest, w->arena, tims_str_from(table[i].url),
                                                        table[i].caller, &url, &err);
        if (status != table[i].status)
            fail_msg("%s: %s", table[i].url, tims_status_name(status));
        assert_str(url.canonical, table[i].canonical);
    }
}

static void mistakes_in_a_table_end_the_start(void **state)
{
    world *w = *state;
    static const struct {
        tims_computed computed;
        const char *expect;
    } table[] = {
        { { .path = "api/x/", .write = write_people }, "must start and end with /" },
        { { .path = "/api/x", .write = write_people }, "must start and end with /" },
        { { .path = "/api/{id}/", .write = write_people }, "no parameters" },
        { { .path = "/api/x/" }, "no .write" },
        { { .path = "/api/x/", .write = write_people, .access = "staff?" }, ".access" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const tims_computed one[] = { table[i].computed, { 0 } };
        tims_error err = { 0 };
        assert_int_equal(tims_rest_add_computed(w->rest, w->arena, one, &err), TIMS_INVALID);
        assert_non_null(strstr(err.message, table[i].expect));
        assert_non_null(strstr(err.message, table[i].computed.path));
    }
}

/* --- for live --------------------------------------------------------------------------------- */

typedef struct computed_answer {
    tims_status status;
    tims_error err;
    tims_str text, topics;
    bool asked_caller;
} computed_answer;

typedef struct job {
    world *w;
    tims_loop *loop;
    const char *url, *user;
    void (*meanwhile)(world *w); /* between the snapshot and the computation */
    computed_answer answer;
} job;

static tims_str describe(tims_arena *arena, const tims_reads *reads)
{
    size_t count;
    const tims_topic *topics = tims_reads_topics(reads, &count);
    tims_buf text;
    tims_buf_init(&text, arena, 1 << 16);
    for (size_t i = 0; i < count; i++)
        tims_buf_print(&text, "%s.%s=%S ", topics[i].model->name,
                       topics[i].field != NULL ? topics[i].field->name : "*", topics[i].text);
    return tims_buf_str(&text);
}

static void compute_in_snapshot(tims_request *rq, void *argument)
{
    job *j = argument;
    computed_answer *answer = &j->answer;
    tims_request_set_db(rq, j->w->db);
    tims_db_session *db = tims_session_db(rq);
    tims_caller caller = caller_named(tims_str_from(j->user));
    tims_computed_url url;
    int64_t position;
    assert_ok(tims_db_begin_snapshot(db, &answer->err), &answer->err);
    assert_ok(
        tims_rest_resolve_computed(j->w->rest, rq->arena, tims_str_from(j->url), caller, &url, &answer->err),
        &answer->err);
    assert_ok(tims_position(db, &position, &answer->err), &answer->err); /* a snapshot is of its first read */
    if (j->meanwhile != NULL)
        j->meanwhile(j->w);
    tims_reads *reads = tims_reads_new();
    tims_buf out;
    tims_buf_init(&out, NULL, 1 << 20);
    answer->status = tims_rest_compute(rq, &url, caller, reads, &out, &answer->err);
    answer->text = tims_copy(j->w->arena, tims_buf_str(&out));
    answer->topics = describe(j->w->arena, reads);
    answer->asked_caller = tims_reads_asked_caller(reads);
    tims_buf_free(&out);
    tims_reads_free(&reads);
    assert_int_equal(tims_db_mark(db), 1); /* the session stands where it stood, nothing is left open */
    tims_db_end_snapshot(db);
}

static void run_job(void *argument)
{
    job *j = argument;
    tims_error err = { 0 };
    assert_ok(tims_request_run(j->loop, NULL, compute_in_snapshot, j, NULL, &err), &err);
    tims_loop_stop(j->loop);
}

static computed_answer compute(world *w, const char *user, const char *url, void (*meanwhile)(world *w))
{
    job j = { .w = w, .url = url, .user = user, .meanwhile = meanwhile };
    assert_int_equal(tims_loop_new(&(tims_loop_options){ 0 }, &j.loop), TIMS_OK);
    assert_non_null(tims_fiber_start(j.loop, run_job, &j));
    tims_loop_run(j.loop);
    tims_loop_free(&j.loop);
    return j.answer;
}

static void what_is_computed_for_live_is_what_get_answers(void **state)
{
    world *w = *state;
    computed_answer answer = compute(w, "ann", "/api/counts/", NULL);
    assert_ok(answer.status, &answer.err);
    assert_true(tims_str_equal(answer.text, get(w, "ann", "/api/counts/").body));
    assert_true(answer.asked_caller);
    assert_str(answer.topics,
               "member.person=" ANN " room.owner=" ANN " room.id=" ROOM1 " note.room=" ROOM1 " ");
    answer = compute(w, "ann", "/api/title/?room=" ROOM1, NULL);
    assert_ok(answer.status, &answer.err);
    assert_true(tims_str_equal(answer.text, get(w, "ann", "/api/title/?room=" ROOM1).body));
    answer = compute(w, "", "/api/sql/?named=1", NULL);
    assert_ok(answer.status, &answer.err);
    assert_str(answer.text, "3");
    assert_false(answer.asked_caller); /* one answer for all */
    assert_str(answer.topics, "person.*= ");
}

static void a_raise_is_an_error_and_what_was_read_is_known(void **state)
{
    computed_answer answer = compute(*state, "ann", "/api/title/?room=" ROOM2, NULL);
    assert_int_equal(answer.status, TIMS_NOT_FOUND);
    assert_str(answer.topics, "room.id=" ROOM2 " member.person=" ANN " ");
    answer = compute(*state, "ann", "/api/title/", NULL);
    assert_string_equal(answer.err.code, "no_room");
    assert_str(answer.topics, "");
    answer = compute(*state, "ann", "/api/half/", NULL);
    assert_string_equal(answer.err.code, "incomplete");
    answer = compute(*state, "ann", "/api/change/", NULL);
    assert_string_equal(answer.err.code, "only_reads");
    answer = compute(*state, "ann", "/api/sql/", NULL);
    assert_string_equal(answer.err.code, "unknown_reads");
}

static void add_a_note(world *w)
{
    reply r = ask(w, "ann", "POST", TIMS_STR("/api/notes/"), "", "{\"room\":\"" ROOM1 "\",\"text\":\"new\"}");
    assert_status(r, 201);
}

static void it_is_read_in_the_snapshot_it_is_given(void **state)
{
    world *w = *state;
    computed_answer answer = compute(w, "ann", "/api/counts/", add_a_note);
    assert_ok(answer.status, &answer.err);
    assert_str(answer.text, "{\"" ROOM1 "\":7}");
    answer = compute(w, "ann", "/api/counts/", NULL);
    assert_str(answer.text, "{\"" ROOM1 "\":8}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_world, stop_world)

int main(void)
{
    computed_table = endpoints;
    const struct CMUnitTest tests[] = {
        TEST(get_answers_what_the_endpoint_writes),
        TEST(get_reads_its_query_and_raises),
        TEST(an_event_stream_is_handed_to_live),
        TEST(urls_are_resolved_for_live),
        TEST(mistakes_in_a_table_end_the_start),
        TEST(what_is_computed_for_live_is_what_get_answers),
        TEST(a_raise_is_an_error_and_what_was_read_is_known),
        TEST(it_is_read_in_the_snapshot_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
