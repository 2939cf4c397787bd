/* read_test.c: lists and details over HTTP, as tables of URL → answer; and the same documents for live and
 * pages. */
#include "rest/testing.h"

/* --- filters and search: how many rows -------------------------------------------------------- */

typedef struct counted {
    const char *user, *url;
    int64_t total;
} counted;

static void lists_show_what_filters_say_and_rules_allow(void **state)
{
    static const counted table[] = {
        { "ann", "/api/notes/", 7 },
        { "bob", "/api/notes/?room=" ROOM1, 7 },
        { "eve", "/api/notes/?room=" ROOM1, 0 },
        { "eve", "/api/notes/", 2 },
        { "ann", "/api/notes/?room=" ROOM2, 0 },
        { "ann", "/api/notes/?author=" BOB, 3 },
        { "ann", "/api/notes/?author__in=" BOB "," ANN, 7 },
        { "ann", "/api/notes/?author__in=", 0 },
        { "ann", "/api/notes/?author__not=" BOB, 4 },
        { "ann", "/api/notes/?number=2", 2 },
        { "ann", "/api/notes/?number__lt=2", 2 },
        { "ann", "/api/notes/?number__lte=2", 4 },
        { "ann", "/api/notes/?number__gt=3", 1 },
        { "ann", "/api/notes/?number__gte=3", 3 },
        { "ann", "/api/notes/?number__gte=2&number__lte=3", 4 },
        { "ann", "/api/notes/?number__in=1,9", 2 },
        { "ann", "/api/notes/?score__isnull=true", 2 },
        { "ann", "/api/notes/?score__isnull=false", 5 },
        { "ann", "/api/notes/?score__not=3", 5 },
        { "ann", "/api/notes/?ratio__lt=0", 1 },
        { "ann", "/api/notes/?done=true", 3 },
        { "ann", "/api/notes/?done=0", 4 },
        { "ann", "/api/notes/?at__gt=1970-01-01T00:00:06Z", 2 },
        { "ann", "/api/notes/?at__gte=1970-01-01T02:00:06%2B02:00", 5 },
        { "ann", "/api/notes/?until__isnull=false", 1 },
        { "ann", "/api/notes/?parent=" NOTE("1"), 1 },
        { "ann", "/api/notes/?kind=loud", 1 },
        { "ann", "/api/notes/?text=world", 1 },
        { "ann", "/api/notes/?text__contains=WORLD", 2 },
        { "ann", "/api/notes/?text__contains=%25", 1 },
        { "ann", "/api/notes/?text__contains=a_b", 1 },
        { "ann", "/api/notes/?text__contains=%5C", 1 },
        { "ann", "/api/notes/?text__startswith=hello", 2 },
        { "ann", "/api/notes/?text=%27%20OR%201%3D1%20--", 0 },
        { "ann", "/api/notes/?text__contains=%27%3B%20DROP%20TABLE%20note%3B--", 0 },
        { "ann", "/api/notes/?text__in=%27)%20OR%20(%271%27%3D%271", 0 },
        { "ann", "/api/notes/?search=hello", 2 },
        { "ann", "/api/notes/?search=hello+world", 1 },
        { "ann", "/api/notes/?search=LOUD", 1 },
        { "ann", "/api/notes/?search=", 7 },
        { "ann", "/api/notes/?search=%22%27%25", 7 }, /* no word in it */
        { "ann", "/api/notes/?search=wor+HEL", 1 },
        { "ann", "/api/notes/?search=orld", 0 },
        { "ann", "/api/notes/?search=plain+OR+loud", 0 },
        { "ann", "/api/notes/?search=hello&room=" ROOM2, 0 },
        { "ann", "/api/notes/?id=00000000-0000-7000-8000-000000000021", 1 },
        { "ann", "/api/notes/?limit=2", 7 },
        { "ann", "/api/notes/?page=99", 7 },
        { "ann", "/api/rooms/", 1 },
        { "bob", "/api/members/?room=" ROOM1, 2 },
        { "eve", "/api/members/?room=" ROOM1, 0 },
        { "eve", "/api/people/", 3 },
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        reply r = get(w, table[i].user, table[i].url);
        if (r.status != 200)
            fail_msg("%s: %d %.*s", table[i].url, r.status, TIMS_PRINT(r.body));
        const tims_json *document = parse(w, r.body);
        int64_t total = tims_json_get_int(document, TIMS_STR("total"), -1);
        size_t rows = tims_json_count(tims_json_get(document, TIMS_STR("rows")));
        if (total != table[i].total || (total <= 5 && rows != (size_t)total))
            fail_msg("%s: total %lld, rows %zu", table[i].url, (long long)total, rows);
    }
}

static void the_document_is_exactly_as_promised(void **state)
{
    world *w = *state;
    reply r = get(w, "eve", "/api/notes/?limit=1");
    assert_status(r, 200);
    assert_str(header(&r, "Content-Type"), "application/json");
    tims_str position = header(&r, "Tims-Position");
    assert_true(position.length >= 18 && position.data[16] == '-');
    tims_str next = tims_json_get_str(parse(w, r.body), TIMS_STR("next"), TIMS_STR(""));
    tims_str expected =
        tims_print(w->arena,
                   "{\"rows\":[{\"id\":\"" NOTE(
                       "9") "\",\"room\":\"" ROOM2 "\",\"author\":\"" EVE "\",\"text\":\"and "
                            "again\",\"kind\":\"plain\",\"number\":1,\"score\":1,\"ratio\":1,\"done\":false,"
                            "\"parent\":null,\"extra\":{},\"at\":\"1970-01-01T00:00:00.000002Z\",\"until\":"
                            "null,\"seal\":null}],\"total\":2,"
                            "\"next\":\"%S\",\"previous\":null,\"position\":\"%S\"}",
                   next, position);
    assert_true(tims_str_starts_with(next, TIMS_STR("/api/notes/?limit=1&cursor=")));
    assert_str(r.body, tims_copy_c(w->arena, expected));
}

/* --- what is refused -------------------------------------------------------------------------- */

typedef struct refused {
    const char *user, *url;
    int status;
} refused;

static void what_is_not_understood_is_refused(void **state)
{
    static const refused table[] = {
        { NULL, "/api/notes/", 401 },
        { NULL, "/api/people/", 401 },
        { NULL, "/api/notes/" NOTE("1") "/", 401 },
        { "ann", "/api/notes/?nothing=1", 400 },
        { "ann", "/api/notes/?secret=s", 400 },
        { "ann", "/api/notes/?secret__contains=s", 400 },
        { "ann", "/api/notes/?number__like=1", 400 },
        { "ann", "/api/notes/?number__lt__gt=1", 400 },
        { "ann", "/api/notes/?number=one", 400 },
        { "ann", "/api/notes/?number=", 400 },
        { "ann", "/api/notes/?number=1e3", 400 },
        { "ann", "/api/notes/?number=9223372036854775808", 400 },
        { "ann", "/api/notes/?ratio=inf", 400 },
        { "ann", "/api/notes/?done=maybe", 400 },
        { "ann", "/api/notes/?done__lt=true", 400 },
        { "ann", "/api/notes/?at=now", 400 },
        { "ann", "/api/notes/?room=1", 400 },
        { "ann", "/api/notes/?room=" ROOM1 "'--", 400 },
        { "ann", "/api/notes/?room__contains=0", 400 },
        { "ann", "/api/notes/?score__isnull=perhaps", 400 },
        { "ann", "/api/notes/?number=1&number=2", 400 },
        { "ann", "/api/notes/?text=%00", 400 },
        { "ann", "/api/notes/?text=%ff", 400 },
        { "ann", "/api/notes/?search=%ff", 400 },
        { "ann", "/api/notes/?search=a+b+c+d+e+f+g+h+i", 400 },
        { "ann", "/api/people/?search=Ann", 400 },
        { "ann", "/api/notes/?order=secret", 400 },
        { "ann", "/api/notes/?order=author", 400 },
        { "ann", "/api/notes/?order=-", 400 },
        { "ann", "/api/notes/?order=at,,number", 400 },
        { "ann", "/api/notes/?order=at,at", 400 },
        { "ann", "/api/notes/?order=at%3BDROP", 400 },
        { "ann", "/api/notes/?limit=0", 400 },
        { "ann", "/api/notes/?limit=11", 400 },
        { "ann", "/api/notes/?limit=-1", 400 },
        { "ann", "/api/notes/?limit=x", 400 },
        { "ann", "/api/notes/?page=0", 400 },
        { "ann", "/api/notes/?page=1000001", 400 },
        { "ann", "/api/notes/?page=99999999999999999999", 400 },
        { "ann", "/api/notes/?cursor=", 400 },
        { "ann", "/api/notes/?cursor=abc", 400 },
        { "ann", "/api/notes/?cursor=abc.def", 400 },
        { "ann", "/api/notes/?page=1&cursor=abc", 400 },
        { "ann", "/api/notes/?fields=", 400 },
        { "ann", "/api/notes/?fields=secret", 400 },
        { "ann", "/api/notes/?fields=text,nothing", 400 },
        { "ann", "/api/notes/?include=text", 400 },
        { "ann", "/api/notes/?include=room,room", 400 },
        { "ann", "/api/notes/?include=", 400 },
        { "ann", "/api/notes/?total=no", 400 },
        { "ann", "/api/notes/" NOTE("1") "/?room=" ROOM1, 400 },
        { "ann", "/api/notes/" NOTE("1") "/?limit=1", 400 },
        { "ann", "/api/notes/" NOTE("1") "/?cursor=x", 400 },
        { "ann", "/api/notes/" NOTE("8") "/", 404 },
        { "ann", "/api/notes/" ID("ff") "/", 404 },
        { "ann", "/api/notes/1/", 404 },
        { "ann", "/api/limited/", 405 },
        { "ann", "/api/nothing/", 404 },
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        reply r = get(w, table[i].user, table[i].url);
        if (r.status != table[i].status)
            fail_msg("%s: %d, expected %d: %.*s", table[i].url, r.status, table[i].status,
                     TIMS_PRINT(r.body));
        assert_contains(header(&r, "Content-Type"), "application/problem+json");
        (void)parse(w, r.body);
    }
}

static void too_many_parameters_are_refused(void **state)
{
    world *w = *state;
    tims_buf url;
    tims_buf_init(&url, w->arena, 4096);
    tims_buf_append_str(&url, TIMS_STR("/api/notes/?number__in=1"));
    for (int i = 0; i < 200; i++)
        tims_buf_append_str(&url, TIMS_STR(",1"));
    reply r = ask(w, "ann", "GET", tims_buf_str(&url), "", NULL);
    assert_status(r, 400);
    url.length = 0;
    tims_buf_append_str(&url, TIMS_STR("/api/notes/?a=1"));
    for (int i = 0; i < 100; i++)
        tims_buf_print(&url, "&a%d=1", i);
    r = ask(w, "ann", "GET", tims_buf_str(&url), "", NULL);
    assert_status(r, 400);
}

/* --- paging ----------------------------------------------------------------------------------- */

enum { ROWS_MAX = 10 };

static size_t add_ids(const tims_json *document, tims_str ids[ROWS_MAX], size_t count)
{
    const tims_json *rows = tims_json_get(document, TIMS_STR("rows"));
    for (size_t i = 0; i < tims_json_count(rows); i++) {
        assert_true(count < ROWS_MAX);
        ids[count++] = tims_json_get_str(tims_json_at(rows, i), TIMS_STR("id"), TIMS_STR(""));
    }
    return count;
}

static const tims_json *get_page(world *w, tims_str url)
{
    reply r = ask(w, "ann", "GET", url, "", NULL);
    if (r.status != 200)
        fail_msg("%.*s: %d %.*s", TIMS_PRINT(url), r.status, TIMS_PRINT(r.body));
    return parse(w, r.body);
}

/* Follows next to the end, then previous to the start: both ways show each row once, in the order of one big
 * page. */
static void walk(world *w, const char *first_url, const tims_str *expected, size_t total, int limit)
{
    tims_str ids[ROWS_MAX];
    size_t count = 0;
    const tims_json *page = get_page(w, tims_str_from(first_url));
    for (;;) {
        count = add_ids(page, ids, count);
        tims_str next = tims_json_get_str(page, TIMS_STR("next"), (tims_str){ 0 });
        if (next.data == NULL)
            break;
        page = get_page(w, next);
    }
    assert_int_equal(count, total);
    for (size_t i = 0; i < total; i++)
        assert_true(tims_str_equal(ids[i], expected[i]));
    size_t to = total - (total % (size_t)limit == 0 ? (size_t)limit : total % (size_t)limit);
    for (;;) {
        tims_str previous = tims_json_get_str(page, TIMS_STR("previous"), (tims_str){ 0 });
        if (previous.data == NULL)
            break;
        page = get_page(w, previous);
        count = add_ids(page, ids, 0);
        assert_true(count <= to);
        to -= count;
        for (size_t i = 0; i < count; i++)
            assert_true(tims_str_equal(ids[i], expected[to + i]));
    }
    assert_int_equal(to, 0);
}

static void pages_meet_without_gap_or_overlap_both_ways(void **state)
{
    static const char *const orders[] = { "-at",      "at",     "number",        "-number",
                                          "score",    "-score", "score,-number", "text",
                                          "-text,at", "ratio",  "-id",           "number,-score,text,at" };
    world *w = *state;
    for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
        tims_str all[ROWS_MAX];
        size_t total =
            add_ids(get_page(w, tims_print(w->arena, "/api/notes/?limit=10&order=%s", orders[o])), all, 0);
        assert_int_equal(total, 7);
        for (int limit = 1; limit <= 8; limit++) {
            const char *common = orders[o];
            tims_str url = tims_print(w->arena, "/api/notes/?fields=text&limit=%d&order=%s", limit, common);
            walk(w, tims_copy_c(w->arena, url), all, total, limit);
            walk(w, tims_copy_c(w->arena, tims_print(w->arena, "%S&total=false", url)), all, total, limit);
            walk(w, tims_copy_c(w->arena, tims_print(w->arena, "%S&page=1", url)), all, total, limit);
            walk(w, tims_copy_c(w->arena, tims_print(w->arena, "%S&page=1&total=false", url)), all, total,
                 limit);
        }
    }
}

static void total_false_answers_null(void **state)
{
    world *w = *state;
    reply r = get(w, "ann", "/api/notes/?total=false");
    assert_contains(r.body, "\"total\":null");
}

/* As after a start: live takes the query from here, and asks REST for nothing before. */
static void a_cursor_is_understood_before_anything_was_read(void **state)
{
    world *w = *state;
    const tims_model *const of_tables[] = { &person_model, &room_model, &member_model, &note_model };
    const tims_resource *const tables[] = { resources };
    tims_models *models;
    tims_rest *rest;
    tims_live_url url;
    tims_error err = { 0 };
    tims_str next =
        tims_json_get_str(get_page(w, TIMS_STR("/api/notes/?limit=2")), TIMS_STR("next"), TIMS_STR(""));
    assert_ok(tims_models_new(w->arena, of_tables, 4, &models, &err), &err);
    assert_ok(tims_rest_new(w->arena, tables, 1, models, &rest, &err), &err);
    assert_ok(tims_rest_load(rest, w->db, &err), &err);
    assert_ok(tims_rest_resolve(rest, w->arena, next, caller_named(TIMS_STR("ann")), &url, &err), &err);
    assert_non_null(url.query.after);
}

static void a_cursor_is_good_for_its_list_only(void **state)
{
    world *w = *state;
    tims_str next =
        tims_json_get_str(get_page(w, TIMS_STR("/api/notes/?limit=2")), TIMS_STR("next"), TIMS_STR(""));
    size_t at = tims_str_find(next, TIMS_STR("cursor="));
    assert_true(at != SIZE_MAX);
    tims_str cursor = tims_str_slice(next, at + 7, next.length);
    static const char *const others[] = { "/api/notes/?limit=3", "/api/notes/?limit=2&order=at",
                                          "/api/members/?limit=2", "/api/notes/?limit=2&room=" ROOM1,
                                          "/api/notes/?limit=2&search=e" };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        reply r = ask(w, "ann", "GET", tims_print(w->arena, "%s&cursor=%S", others[i], cursor), "", NULL);
        assert_status(r, 400);
    }
    for (size_t i = 0; i < cursor.length; i++) {
        char *forged = (char *)(uintptr_t)tims_copy_c(w->arena, next);
        forged[at + 7 + i] = forged[at + 7 + i] == 'A' ? 'B' : 'A';
        reply r = ask(w, "ann", "GET", tims_str_from(forged), "", NULL);
        assert_status(r, 400);
    }
    reply r = ask(w, "eve", "GET", next, "", NULL); /* somebody else's: their own rows only */
    assert_status(r, 200);
    assert_contains(r.body, NOTE("8"));
    assert_true(tims_str_find(r.body, TIMS_STR(ROOM1)) == SIZE_MAX);
}

/* --- fields, includes, details ---------------------------------------------------------------- */

static void fields_select_and_what_a_store_needs_is_always_there(void **state)
{
    world *w = *state;
    reply r = get(w, "ann", "/api/notes/?fields=text,done&limit=1&order=-at");
    assert_contains(r.body,
                    "{\"rows\":[{\"id\":\"" NOTE("7") "\",\"text\":\"line\\nbreak\",\"done\":true,\"at\":");
    r = get(w, "ann", "/api/notes/" NOTE("7") "/?fields=text");
    assert_str(r.body, "{\"id\":\"" NOTE("7") "\",\"text\":\"line\\nbreak\"}");
}

static void includes_bring_the_rows_pointed_at(void **state)
{
    world *w = *state;
    reply r = get(w, "ann", "/api/notes/?limit=3&order=id&fields=text&include=author,parent");
    assert_status(r, 200);
    assert_contains(r.body, ",\"included\":{\"author\":{\"" ANN "\":{\"id\":\"" ANN
                            "\",\"name\":\"Ann\"},\"" BOB "\":{\"id\":\"" BOB
                            "\",\"name\":\"Bob\"}},\"parent\":{\"" NOTE("1") "\":{\"id\":\"" NOTE("1") "\"");
    assert_true(tims_str_find(r.body, TIMS_STR("\"secret\"")) == SIZE_MAX);
    r = get(w, "ann", "/api/notes/?number=12345&include=author");
    assert_contains(r.body, "\"included\":{\"author\":{}}}");
}

static void details_have_an_etag_of_their_content(void **state)
{
    world *w = *state;
    reply r = get(w, "ann", "/api/notes/" NOTE("1") "/");
    assert_status(r, 200);
    tims_str etag = header(&r, "ETag");
    assert_true(etag.length == 34);
    assert_true(header(&r, "Tims-Position").length > 0);
    tims_str match = tims_print(w->arena, "If-None-Match: %S\r\n", etag);
    reply again =
        ask(w, "ann", "GET", TIMS_STR("/api/notes/" NOTE("1") "/"), tims_copy_c(w->arena, match), NULL);
    assert_status(again, 304);
    assert_int_equal(again.body.length, 0);
    reply other = get(w, "ann", "/api/notes/" NOTE("2") "/");
    assert_false(tims_str_equal(header(&other, "ETag"), etag));
}

static void event_streams_are_handed_on(void **state)
{
    world *w = *state;
    reply r =
        ask(w, "ann", "GET", TIMS_STR("/api/notes/?room=" ROOM1), "Accept: text/event-stream\r\n", NULL);
    assert_status(r, 200);
    assert_contains(r.body, "stream of /api/notes/?room=" ROOM1);
}

/* --- the same for live and pages -------------------------------------------------------------- */

static tims_str document_of(world *w, tims_db_session *session, const char *url, tims_live_url *ret_url)
{
    tims_error err = { 0 };
    tims_str epoch;
    int64_t position;
    assert_ok(tims_db_begin_snapshot(session, &err), &err);
    assert_ok(tims_rest_resolve(w->rest, w->arena, tims_str_from(url), caller_named(TIMS_STR("ann")), ret_url,
                                &err),
              &err);
    assert_ok(tims_epoch(session, w->arena, &epoch, &err), &err);
    assert_ok(tims_position(session, &position, &err), &err);
    tims_buf out;
    tims_buf_init(&out, w->arena, 1 << 20);
    tims_json_writer writer = tims_json_to(&out);
    assert_ok(tims_rest_write(session, w->arena, ret_url, epoch, position, &writer, &err), &err);
    tims_db_end_snapshot(session);
    return tims_buf_str(&out);
}

/* On PostgreSQL a position moves whoever writes, in another database too. */
static const char *without_position(world *w, tims_str document)
{
    tims_str key = TIMS_STR("\"position\":\"");
    size_t from = tims_str_find(document, key);
    if (from == SIZE_MAX)
        return tims_copy_c(w->arena, document);
    tims_str rest = tims_str_slice(document, from + key.length, document.length);
    (void)tims_str_cut(&rest, '"');
    return tims_print(w->arena, "%S%S", tims_str_slice(document, 0, from), rest).data;
}

static void the_resolver_writes_the_same_bytes(void **state)
{
    static const char *const urls[] = {
        "/api/notes/",
        "/api/notes/?room=" ROOM1 "&limit=2",
        "/api/notes/?search=hello%20world&order=score&include=author&fields=text",
        "/api/notes/?page=2&limit=3",
        "/api/notes/?total=false&number__in=1%2C2",
        "/api/notes/" NOTE("2") "/",
        "/api/rooms/?limit=1",
    };
    world *w = *state;
    tims_arena *arena = tims_arena_new(1 << 24, NULL, NULL);
    tims_db_session *session = tims_db_session_new(w->db, NULL, arena);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        tims_live_url url;
        reply r = get(w, "ann", urls[i]);
        assert_status(r, 200);
        const char *wanted = without_position(w, r.body);
        assert_string_equal(without_position(w, document_of(w, session, urls[i], &url)), wanted);
        const char *canonical = tims_copy_c(w->arena, url.canonical);
        assert_string_equal(without_position(w, document_of(w, session, canonical, &url)), wanted);
    }
    tims_arena_free(&arena);
}

typedef struct named {
    const char *url, *canonical;
} named;

static void canonical_urls_are_sorted_and_leave_defaults_out(void **state)
{
    static const named table[] = {
        { "/api/notes/", "/api/notes/" },
        { "/api/notes/?", "/api/notes/" },
        { "/api/notes/?total=true&limit=5&page=1&order=-at&search=", "/api/notes/" },
        { "/api/notes/?text=b&number=1", "/api/notes/?number=1&text=b" },
        { "/api/notes/?text=a%20b%26c+d", "/api/notes/?text=a%20b%26c%20d" },
        { "/api/notes/?room=00000000-0000-7000-8000-0000000000AA",
          "/api/notes/?room=00000000-0000-7000-8000-0000000000aa" },
        { "/api/notes/?fields=text,id,room", "/api/notes/?fields=id%2Croom%2Ctext" },
        { "/api/notes/?page=3&limit=2", "/api/notes/?limit=2&page=3" },
        { "/api/notes/00000000-0000-7000-8000-0000000000AA/",
          "/api/notes/00000000-0000-7000-8000-0000000000aa/" },
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        tims_live_url url;
        tims_error err = { 0 };
        assert_ok(tims_rest_resolve(w->rest, w->arena, tims_str_from(table[i].url),
                                    caller_named(TIMS_STR("ann")), &url, &err),
                  &err);
        assert_str(url.canonical, table[i].canonical);
    }
}

static void the_resolver_refuses_with_statuses(void **state)
{
    static const struct {
        const char *url;
        tims_status status;
    } table[] = {
        { "", TIMS_INVALID },
        { "api/notes/", TIMS_INVALID },
        { "http://evil/api/notes/", TIMS_INVALID },
        { "/api/notes", TIMS_NOT_FOUND },
        { "/api/limited/", TIMS_NOT_FOUND },
        { "/api/notes/x/", TIMS_NOT_FOUND },
        { "/api/notes/" NOTE("1"), TIMS_NOT_FOUND },
        { "/api/notes/?%zz=1", TIMS_INVALID },
        { "/api/notes/?nothing=1", TIMS_INVALID },
        { "/../etc/passwd", TIMS_INVALID },
    };
    world *w = *state;
    tims_live_url url;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        tims_error err = { 0 };
        tims_status status = tims_rest_resolve(w->rest, w->arena, tims_str_from(table[i].url),
                                               caller_named(TIMS_STR("ann")), &url, &err);
        if (status != table[i].status || err.status != status)
            fail_msg("%s: %s", table[i].url, tims_status_name(status));
    }
    tims_error err = { 0 };
    assert_int_equal(
        tims_rest_resolve(w->rest, w->arena, TIMS_STR("/api/notes/"), (tims_caller){ 0 }, &url, &err),
        TIMS_UNAUTHORIZED);
}

/* --- one answer, one state -------------------------------------------------------------------- */

typedef struct toggling {
    world *w;
    atomic_bool stop;
} toggling;

static void come(tims_db_session *session, tims_arena *arena)
{
    tims_error err = { 0 };
    assert_ok(tims_db_begin(session, &err), &err);
    for (int i = 0; i < 2; i++)
        insert(session, arena, &note_model,
               &(note){ .room = id_of(ROOM1),
                        .author = id_of(ANN),
                        .text = TIMS_STR("x"),
                        .kind = TIMS_STR("plain"),
                        .number = 555,
                        .extra = { TIMS_STR("{}") } });
    assert_ok(tims_db_commit(session, &err), &err);
}

static void go(tims_db_session *session)
{
    tims_error err = { 0 };
    assert_ok(tims_db_run(session, TIMS_STR("DELETE FROM note WHERE number = 555"), NULL, 0, NULL, &err),
              &err);
}

/* Two rows come together and go together, again and again. */
static void *toggle(void *argument)
{
    toggling *t = argument;
    for (int i = 0; !atomic_load(&t->stop) || i % 2 == 1; i++) {
        tims_arena *arena = tims_arena_new(1 << 20, NULL, NULL);
        tims_db_session *session = tims_db_session_new(t->w->db, NULL, arena);
        if (i % 2 == 0)
            come(session, arena);
        else
            go(session);
        tims_arena_free(&arena);
    }
    return NULL;
}

static void rows_and_total_are_of_one_state_whoever_writes_meanwhile(void **state)
{
    enum { ASKED = 150 };
    toggling t = { .w = *state };
    pthread_t thread;
    int with = 0, without = 0;
    assert_int_equal(pthread_create(&thread, NULL, toggle, &t), 0);
    int64_t deadline_us = tims_monotonic_us() + 20 * 1000000;
    for (int i = 0; (i < ASKED || with == 0 || without == 0) && tims_monotonic_us() < deadline_us; i++) {
        reply r = get(t.w, i % 2 == 0 ? "ann" : "bob", "/api/notes/?number=555&fields=number");
        assert_status(r, 200);
        bool has_rows = tims_str_find(r.body, TIMS_STR("\"number\":555")) != SIZE_MAX;
        assert_contains(r.body, has_rows ? "\"total\":2," : "\"total\":0,");
        with += has_rows;
        without += !has_rows;
    }
    atomic_store(&t.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(with > 0 && without > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_show_what_filters_say_and_rules_allow),
        cmocka_unit_test(the_document_is_exactly_as_promised),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(pages_meet_without_gap_or_overlap_both_ways),
        cmocka_unit_test(total_false_answers_null),
        cmocka_unit_test(a_cursor_is_understood_before_anything_was_read),
        cmocka_unit_test(a_cursor_is_good_for_its_list_only),
        cmocka_unit_test(fields_select_and_what_a_store_needs_is_always_there),
        cmocka_unit_test(includes_bring_the_rows_pointed_at),
        cmocka_unit_test(details_have_an_etag_of_their_content),
        cmocka_unit_test(event_streams_are_handed_on),
        cmocka_unit_test(the_resolver_writes_the_same_bytes),
        cmocka_unit_test(canonical_urls_are_sorted_and_leave_defaults_out),
        cmocka_unit_test(the_resolver_refuses_with_statuses),
        cmocka_unit_test(rows_and_total_are_of_one_state_whoever_writes_meanwhile),
    };
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
