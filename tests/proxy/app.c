/* app.c: a project that is nothing but upstreams, for the system tests of the proxy: a row for each thing
 * that can be asked for. The addresses come from the environment. */
#include <tims.h>

#define NOWHERE "http://127.0.0.1:9/"

static const tims_proxy proxies[] = {
    { "/open/", NOWHERE, .doc = "Everybody.", .identity = true },
    { "/members/", NOWHERE, .access = tims_access_signed_in, .identity = true },
    { "/staff/", NOWHERE, .access = tims_access_staff },
    { "/asked/", NOWHERE, .send_cookies = true, .send_authorization = true, .keep_host = true },
    { "/deep/", "http://127.0.0.1:9/base/dir/" },
    { "/open/inner/", NOWHERE, .access = tims_access_staff },
    { "/read-only/", NOWHERE, .methods = TIMS_METHOD_GET, .no_websockets = true },
    { "/small/", NOWHERE, .body_bytes_max = 1000 },
    { "/bad/", NOWHERE, .connect_ms = 300, .head_ms = 300, .idle_ms = 300, .failures_max = 1000000 },
    { "/fragile/", NOWHERE, .connect_ms = 300, .head_ms = 300, .failures_max = 3, .pause_ms = 500 },
    { "/watched/", NOWHERE, .head_ms = 300, .failures_max = 2, .pause_ms = 200, .health = "/health" },
    { "/again/", NOWHERE },
    { "/few/", NOWHERE, .requests_max = 2 },
    { 0 },
};

static void fill_in(tims_request *rq)
{
    tims_user *user;
    tims_error err = { 0 };
    tims_check(rq, tims_user_create(rq, TIMS_STR("ada"), TIMS_STR("demo-pass-1"), true, &user, &err), &err);
    tims_check(rq, tims_user_create(rq, TIMS_STR("bob"), TIMS_STR("demo-pass-1"), false, &user, &err), &err);
}

int main(int argc, char **argv)
{
    static const tims_app app = { .name = "proxied", .doc = "Users for tests.", .demo = fill_in };
    static const tims_app *const apps[] = { &app, NULL };
    static const tims_project project = {
        .name = "proxied", .version = "0.1.0", .apps = apps, .source_directory = "tests", .proxies = proxies
    };
    return tims_main(argc, argv, &project);
}
