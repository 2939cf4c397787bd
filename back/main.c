/* The demo: a chat. A program is its apps, named in one place. */
#include "accounts/accounts.h"
#include "chat/chat.h"

int main(int argc, char **argv)
{
    static const tims_app *const apps[] = { &accounts_app, &chat_app, NULL };
    static const tims_proxy proxies[] = {
        { "/docs/", NULL, .access = tims_access_staff,
          .doc = "The documentation; PROXY_DOCS says where it is." },
        { 0 },
    };
    static const tims_project project = {
        .name = "chat",
        .version = "0.1.0",
        .doc = "A chat: the demo of Tim's Stack.",
        .license = "Apache-2.0",
        .apps = apps,
        .proxies = proxies,
        .languages = "en,de",
        .source_directory = "back",
    };
    return tims_main(argc, argv, &project);
}
