/* accounts: people as others see them, and the pages around signing in. The users themselves are the
 * stack's. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <tims.h>

extern const tims_app accounts_app;
extern const tims_page_route accounts_pages[];

/* Test users for the demo: "demo" and testUser0 … testUser9, all with the password demo-pass-1. */
void accounts_demo(tims_request *rq);
enum { ACCOUNTS_DEMO_USERS = 10 };

#endif
