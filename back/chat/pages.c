#include "chat/chat.h"

/* How many are online changes by the second, and a page is kept until what it shows changes: that number
 * comes over the socket. */
static void load_chats(tims_page *page)
{
    tims_page_include(page, "/api/chats/");
    tims_page_include(page, "/api/unread/");
}

static void load_chat(tims_page *page)
{
    tims_str chat_id = tims_param(page, "chat");
    load_chats(page);
    tims_page_include(page, "/api/chats/%S/", chat_id); /* Raises: 404 */
    tims_page_include(page, "/api/members/?chat=%S&include=user", chat_id);
    tims_page_include(page, "/api/messages/?chat=%S&include=picture", chat_id);
}

const tims_page_route chat_pages[] = {
    { .path = "/chats", .access = tims_access_signed_in, .load = load_chats, .doc = "All my chats." },
    { .path = "/chat/{chat:id}", .access = tims_access_signed_in, .load = load_chat, .doc = "One chat." },
    { 0 },
};
