/* router_test.c: what a table of routes answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tims/http.h"

static tims_answer answer_nothing(tims_request *rq)
{
    (void)rq;
    return tims_answer_empty(204);
}

#define ROUTE(m, p)                                               \
    {                                                             \
        .methods = (m), .pattern = (p), .handler = answer_nothing \
    }
#define GET TIMS_METHOD_GET
#define POST TIMS_METHOD_POST
#define PATCH TIMS_METHOD_PATCH
#define HEAD TIMS_METHOD_HEAD

static const tims_route table[] = {
    ROUTE(GET, "/"),
    ROUTE(GET | POST, "/api/messages/"),
    ROUTE(GET, "/api/messages/{id:id}/"),
    ROUTE(PATCH, "/api/messages/{message:id}/"),
    ROUTE(POST, "/api/messages/{id:id}/read/"),
    ROUTE(GET, "/api/messages/unread/"),
    ROUTE(GET, "/api/pages/{number:int}/"),
    ROUTE(GET, "/api/pages/{slug}/"),
    ROUTE(GET, "/api/pages/{slug}/edit/"),
    ROUTE(GET, "/_next/{file:path}"),
    ROUTE(GET, "/about"),
    ROUTE(POST, "/{rest:path}"),
};
enum { TABLE_COUNT = sizeof(table) / sizeof(table[0]) };

typedef struct fixture {
    tims_arena *arena;
    tims_router *router;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    const tims_route *pointers[TABLE_COUNT];
    for (size_t i = 0; i < TABLE_COUNT; i++)
        pointers[i] = &table[i];
    tims_error err = { 0 };
    f.arena = tims_arena_new(1 << 20, NULL, NULL);
    assert_int_equal(tims_router_new(pointers, TABLE_COUNT, &f.router, &err), TIMS_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tims_router_free(&f->router);
    tims_arena_free(&f->arena);
    return 0;
}

typedef struct expectation {
    tims_method method;
    const char *path, *pattern, *value, *redirect;
    uint32_t allowed;
} expectation;

#define ID "0190a0a0-0000-7000-8000-000000000001"

static void each_path_finds_the_route_that_says_most_about_it(void **state)
{
    fixture *f = *state;
    static const expectation expectations[] = {
        { GET, "/", "/", NULL, NULL, 0 },
        { HEAD, "/", "/", NULL, NULL, 0 },
        { POST, "/api/messages/", "/api/messages/", NULL, NULL, 0 },
        { GET, "/api/messages/" ID "/", "/api/messages/{id:id}/", ID, NULL, 0 },
        { PATCH, "/api/messages/" ID "/", "/api/messages/{message:id}/", ID, NULL, 0 },
        { POST, "/api/messages/" ID "/read/", "/api/messages/{id:id}/read/", ID, NULL, 0 },
        { GET, "/api/messages/unread/", "/api/messages/unread/", NULL, NULL, 0 },
        { GET, "/api/pages/12/", "/api/pages/{number:int}/", "12", NULL, 0 },
        { GET, "/api/pages/12a/", "/api/pages/{slug}/", "12a", NULL, 0 },
        { GET, "/api/pages/12/edit/", "/api/pages/{slug}/edit/", "12", NULL, 0 },
        { GET, "/_next/static/a.js", "/_next/{file:path}", "static/a.js", NULL, 0 },
        { GET, "/about", "/about", NULL, NULL, 0 },
        { POST, "/anything/else", "/{rest:path}", "anything/else", NULL, 0 },
        { POST, "/api/pages/1/", "/{rest:path}", "api/pages/1/", NULL, 0 },
    };
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const expectation *e = &expectations[i];
        tims_pairs params = { 0 };
        uint32_t allowed = 0;
        tims_str redirect = { 0 };
        const tims_route *route = tims_router_find(f->router, f->arena, e->method, tims_str_from(e->path),
                                                   &params, &allowed, &redirect);
        assert_non_null(route);
        assert_string_equal(route->pattern, e->pattern);
        if (e->value)
            assert_true(tims_str_equal(params.items[0].value, tims_str_from(e->value)));
        else
            assert_int_equal(params.count, 0);
    }
}

static void parameters_have_the_names_of_the_route_that_matched(void **state)
{
    fixture *f = *state;
    tims_pairs params = { 0 };
    uint32_t allowed = 0;
    tims_str redirect = { 0 };
    assert_non_null(tims_router_find(f->router, f->arena, PATCH, TIMS_STR("/api/messages/" ID "/"), &params,
                                     &allowed, &redirect));
    assert_non_null(tims_pairs_get(params, TIMS_STR("message")).data);
    assert_null(tims_pairs_get(params, TIMS_STR("id")).data);
}

static void a_known_path_with_another_method_says_what_is_allowed(void **state)
{
    fixture *f = *state;
    tims_pairs params = { 0 };
    uint32_t allowed = 0;
    tims_str redirect = { 0 };
    assert_null(tims_router_find(f->router, f->arena, TIMS_METHOD_DELETE, TIMS_STR("/about"), &params,
                                 &allowed, &redirect));
    assert_int_equal(allowed, GET | HEAD | POST | TIMS_METHOD_OPTIONS);
    assert_null(redirect.data);
}

static const tims_route slashes[] = { ROUTE(GET, "/a/"), ROUTE(GET, "/b"), ROUTE(GET, "/c/{id:id}/") };

static void a_missing_or_added_last_slash_redirects(void **state)
{
    fixture *f = *state;
    const tims_route *pointers[] = { &slashes[0], &slashes[1], &slashes[2] };
    tims_router *router = NULL;
    tims_error err = { 0 };
    assert_int_equal(tims_router_new(pointers, 3, &router, &err), TIMS_OK);
    static const char *const paths[][2] = { { "/a", "/a/" }, { "/b/", "/b" },  { "/c/" ID, "/c/" ID "/" },
                                            { "/d", NULL },  { "/c/7", NULL }, { "/", NULL } };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        tims_pairs params = { 0 };
        uint32_t allowed = 0;
        tims_str redirect = { 0 };
        assert_null(tims_router_find(router, f->arena, GET, tims_str_from(paths[i][0]), &params, &allowed,
                                     &redirect));
        assert_int_equal(allowed, 0);
        if (paths[i][1])
            assert_true(tims_str_equal(redirect, tims_str_from(paths[i][1])));
        else
            assert_null(redirect.data);
    }
    tims_router_free(&router);
}

static void a_bad_table_is_refused_with_its_pattern(void **state)
{
    (void)state;
    static const struct {
        tims_route first, second;
        tims_status status;
    } tables[] = {
        { ROUTE(GET, "/a/{x}/"), ROUTE(GET | POST, "/a/{y}/"), TIMS_CONFLICT },
        { ROUTE(GET, "/a"), ROUTE(GET, "a"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(GET, "/{x:uuid}"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(GET, "/{}"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(GET, "/v{x}"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(GET, "/{x:path}/b"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(GET, "//b"), TIMS_INVALID },
        { ROUTE(GET, "/a"), ROUTE(0, "/b"), TIMS_INVALID },
        { ROUTE(GET, "/a"), { .methods = GET, .pattern = "/b" }, TIMS_INVALID },
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        const tims_route *pointers[] = { &tables[i].first, &tables[i].second };
        tims_router *router = NULL;
        tims_error err = { 0 };
        assert_int_equal(tims_router_new(pointers, 2, &router, &err), tables[i].status);
        assert_null(router);
        assert_true(err.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_path_finds_the_route_that_says_most_about_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parameters_have_the_names_of_the_route_that_matched, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_known_path_with_another_method_says_what_is_allowed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_missing_or_added_last_slash_redirects, set_up, tear_down),
        cmocka_unit_test(a_bad_table_is_refused_with_its_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
