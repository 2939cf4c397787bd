/* answer.c: a page as HTML: rendered, or its exported shell. */
#include "pages/pages_internal.h"

tims_answer pages__html_answer(int status, tims_str html)
{
    return tims_answer_bytes(status, TIMS_STR("text/html; charset=utf-8"), html);
}

static tims_answer answer_shell(tims_request *rq, const pages__entry *entry)
{
    pages__shell found;
    if (!pages__shell_find(rq, entry->pages, entry->shell, &found))
        tims_raise(rq, 503, "not_rendered", "The page cannot be rendered now; try again shortly.");
    return pages__shell_answer(rq, entry->pages, 200, &found);
}

tims_answer pages__answer(tims_request *rq)
{
    const pages__entry *entry = rq->route->data;
    tims_pages *pages = entry->pages;
    TIMS_CHECK_MAGIC(pages, PAGES__MAGIC);
    tims_str target = pages__target_of(rq);
    if (!pages__may_see(rq, entry->page)) {
        pages__set_unkept(rq);
        return tims_answer_redirect(rq, 303, pages__login_address(rq->arena, target));
    }
    pages__loaded loaded;
    tims_error err = { 0 };
    pages__load(rq, entry, rq->path_params, target, NULL, &loaded);
    tims_csrf_cookie(rq);
    pages__rendering rendering = { .target = target, .data = loaded.data };
    if (pages__render(rq, pages, &rendering, &err) != TIMS_OK)
        return answer_shell(rq, entry);
    pages__set_policy(rq, pages, rendering.sources);
    pages__set_unkept(rq);
    return pages__html_answer(rendering.status, rendering.html);
}
