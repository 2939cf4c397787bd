#include "accounts/accounts.h"

static void make_user(tims_request *rq, tims_str username, bool staff)
{
    tims_user *user;
    tims_error err = { 0 };
    if (tims_find_by(rq, &tims_user_model, "username", username) == NULL)
        tims_check(rq, tims_user_create(rq, username, TIMS_STR("demo-pass-1"), staff, &user, &err), &err);
    tims_commit(rq); /* the next password takes its time; nobody's write shall wait for it */
}

void accounts_demo(tims_request *rq)
{
    make_user(rq, TIMS_STR("demo"), true);
    for (int i = 0; i < ACCOUNTS_DEMO_USERS; i++)
        make_user(rq, tims_print(rq->arena, "testUser%d", i), false);
}
