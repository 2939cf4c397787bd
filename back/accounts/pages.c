#include "accounts/accounts.h"

const tims_page_route accounts_pages[] = {
    { .path = "/", .doc = "What this is: a list of articles." },
    { .path = "/articles/{slug}", .doc = "One article." },
    { .path = "/login", .doc = "Sign in." },
    { .path = "/register", .doc = "Make an account." },
    { .path = "/profile", .access = tims_access_signed_in, .doc = "Name, picture, password, devices." },
    { .path = "/settings", .doc = "Themes." },
    { 0 },
};
