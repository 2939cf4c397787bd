/* route.c: one page has three names: its path here, its page in Next.js, its file in the export.
 *
 *   /chat/{chat:id}   →   /chat/[chat]   →   chat/[chat].html */
#include "pages/pages_internal.h"

tims_str pages__next_route(tims_arena *arena, const char *path)
{
    tims_str rest = tims_str_from(path);
    tims_buf out;
    tims_buf_init(&out, arena, PAGES__TARGET_BYTES_MAX);
    while (rest.length > 0) {
        size_t open = tims_str_find(rest, TIMS_STR("{"));
        size_t close = tims_str_find(rest, TIMS_STR("}"));
        if (open == SIZE_MAX || close == SIZE_MAX || close < open) {
            tims_buf_append_str(&out, rest);
            break;
        }
        tims_str kind = tims_str_slice(rest, open + 1, close);
        tims_str name = tims_str_cut(&kind, ':');
        tims_buf_append_str(&out, tims_str_slice(rest, 0, open));
        tims_buf_print(&out, tims_str_equal(kind, TIMS_STR("path")) ? "[...%S]" : "[%S]", name);
        rest = tims_str_slice(rest, close + 1, rest.length);
    }
    return tims_buf_str(&out);
}

const char *pages__shell_of(tims_arena *arena, tims_str next_route)
{
    if (next_route.length <= 1)
        return "index.html";
    return tims_copy_c(arena, tims_print(arena, "%S.html", tims_str_slice(next_route, 1, next_route.length)));
}

tims_str pages__target_of(tims_request *rq)
{
    tims_str rest = tims_str_slice(rq->path, 1, rq->path.length);
    tims_buf out;
    tims_buf_init(&out, rq->arena, PAGES__TARGET_BYTES_MAX);
    while (rest.data != NULL) {
        tims_str segment = tims_str_cut(&rest, '/');
        tims_buf_append_char(&out, '/');
        tims_buf_append_str(&out, tims_url_encode(rq->arena, segment));
    }
    if (rq->query_text.length > 0) /* all of it: the loader reads all of it, and this names what is kept */
        tims_buf_print(&out, "?%S", rq->query_text);
    if (out.overflow)
        tims_raise(rq, 414, "address_too_long", "The address is too long.");
    return tims_buf_str(&out);
}

tims_str pages__login_address(tims_arena *arena, tims_str target)
{
    return tims_print(arena, "/login?next=%S", tims_url_encode(arena, target));
}
