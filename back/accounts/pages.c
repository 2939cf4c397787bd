#include "accounts/accounts.h"

static void load_tasks(tims_page *page)
{
    tims_page_include(page, "/api/tasks/queues/");
    tims_page_include(page, "/api/tasks/workers/");
    tims_page_include(page, "/api/tasks/running/");
    tims_page_include(page, "/api/tasks/?state=running");
    tims_page_include(page, "/api/tasks/scheduled/");
    tims_page_include(page, "/api/tasks/schedules/");
    tims_page_include(page, "/api/tasks/dead/");
}

/* Both are forms that work without JavaScript. */
static void load_sign(tims_page *page)
{
    tims_page_csrf(page);
}

const tims_page_route accounts_pages[] = {
    { .path = "/", .doc = "What this is: a list of articles." },
    { .path = "/articles/{slug}", .doc = "One article." },
    { .path = "/login", .load = load_sign, .doc = "Sign in." },
    { .path = "/register", .load = load_sign, .doc = "Make an account." },
    { .path = "/profile", .access = tims_access_signed_in, .doc = "Name, picture, password, devices." },
    { .path = "/settings", .doc = "Themes." },
    { .path = "/tasks", .access = tims_access_staff, .load = load_tasks, .doc = "Jobs and their queues." },
    { 0 },
};
