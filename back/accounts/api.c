#include "accounts/accounts.h"

static const tims_resource resources[] = {
    { .path = "/api/users/",
      .model = &tims_user_model,
      .allow = TIMS_LIST | TIMS_READ,
      .filter = TIMS_NAMES("id", "username"),
      .order = TIMS_NAMES("username"),
      .doc = "People, as others see them." },
    { 0 },
};

const tims_app accounts_app = {
    .name = "accounts",
    .doc = "People and how they sign in.",
    .resources = resources,
    .pages = accounts_pages,
    .demo = accounts_demo,
};
