/* shell.c: what stands around a page: its headers, and the exported file that takes its place.
 *
 * Every answer has a nonce of its own, which the policy names and the page's scripts carry: what somebody
 * manages to write into a page does not run. The exported files were built by us and hold nobody's data, so
 * the nonce may be put on every script in them. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/pages_internal.h"
#include "tims/crypto.h"

tims_str pages__nonce(tims_arena *arena)
{
    char bytes[16];
    tims_random(bytes, sizeof bytes);
    return tims_base64url(arena, (tims_str){ bytes, sizeof bytes });
}

void pages__set_headers(tims_request *rq, const tims_pages *pages, tims_str nonce)
{
    bool development = pages->options.development;
    tims_str policy =
        tims_print(rq->arena,
                   "default-src 'self'; script-src 'self' 'nonce-%S'%s; style-src 'self'%s; "
                   "style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'%s; "
                   "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                   nonce, development ? " 'unsafe-eval'" : "", development ? " 'unsafe-inline'" : "",
                   development ? " ws: wss:" : "");
    tims_set_header(rq, TIMS_STR("Content-Security-Policy"), policy);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("private, no-store"));
}

tims_str pages__add_nonce(tims_arena *arena, tims_str html, tims_str nonce)
{
    const tims_str tag = TIMS_STR("<script");
    tims_buf out;
    tims_buf_init(&out, arena, PAGES__SHELL_BYTES_MAX * 2);
    (void)tims_buf_reserve(&out, html.length + 2048);
    for (;;) {
        size_t at = tims_str_find(html, tag);
        if (at == SIZE_MAX)
            break;
        tims_buf_append_str(&out, tims_str_slice(html, 0, at + tag.length));
        tims_buf_print(&out, " nonce=\"%S\"", nonce);
        html = tims_str_slice(html, at + tag.length, html.length);
    }
    tims_buf_append_str(&out, html);
    return tims_buf_str(&out);
}

/* Small, and in the page cache: read at once, on the loop. */
static bool read_file(tims_arena *arena, const char *path, tims_str *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (fd < 0)
        return false;
    bool fine = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size <= PAGES__SHELL_BYTES_MAX;
    size_t length = fine ? (size_t)facts.st_size : 0, have = 0;
    char *text = fine ? tims_alloc_raw(arena, length + 1) : NULL;
    while (fine && have < length) {
        ssize_t got = read(fd, text + have, length - have);
        fine = got > 0;
        have += fine ? (size_t)got : 0;
    }
    (void)close(fd);
    if (fine)
        *ret_text = (tims_str){ text, length };
    return fine;
}

bool pages__shell(tims_request *rq, const tims_pages *pages, const char *file, tims_str nonce,
                  tims_str *ret_html)
{
    tims_str html;
    tims_str path = tims_print(rq->arena, "%s/dist/app/%s", pages->options.front_directory, file);
    if (!read_file(rq->arena, tims_copy_c(rq->arena, path), &html))
        return false;
    *ret_html = pages__add_nonce(rq->arena, html, nonce);
    return true;
}

/* --- error pages ------------------------------------------------------------------------------------- */

static bool wants_page(const tims_request *rq)
{
    if (rq->method != TIMS_METHOD_GET && rq->method != TIMS_METHOD_HEAD)
        return false;
    if (tims_str_starts_with(rq->path, TIMS_STR("/api/")) ||
        tims_str_starts_with(rq->path, TIMS_STR("/_next/")) ||
        tims_str_equal(rq->path, TIMS_STR("/page-data")))
        return false;
    return tims_str_find(tims_header_of(rq, TIMS_STR("accept")), TIMS_STR("text/html")) != SIZE_MAX;
}

static bool error_page(tims_request *rq, const tims_pages *pages, int status, tims_answer *ret_answer)
{
    tims_str nonce = pages__nonce(rq->arena), html;
    const char *file = status >= 500 ? "500.html" : "404.html";
    if (pages->options.development || !pages__shell(rq, pages, file, nonce, &html))
        return false;
    pages__set_headers(rq, pages, nonce);
    *ret_answer = tims_answer_bytes(status, TIMS_STR("text/html; charset=utf-8"), html);
    return true;
}

/* While developing there is no export, or an old one whose scripts are gone. */
static bool develop_error_page(tims_request *rq, tims_pages *pages, tims_answer *ret_answer)
{
    tims_str nonce = pages__nonce(rq->arena), html;
    tims_error err = { 0 };
    int status;
    if (pages__render_page(rq, pages, TIMS_STR("/404"), TIMS_STR("null"), nonce, &status, &html, &err) !=
        TIMS_OK)
        return false;
    pages__set_headers(rq, pages, nonce);
    *ret_answer = tims_answer_bytes(404, TIMS_STR("text/html; charset=utf-8"), html);
    return true;
}

tims_answer tims_pages_not_found(tims_request *rq)
{
    tims_pages *pages = pages__of(rq);
    tims_answer answer;
    if (pages->options.development && pages__is_development_path(rq->path))
        return pages__proxy(rq);
    if (wants_page(rq) && pages->options.development && develop_error_page(rq, pages, &answer))
        return answer;
    if (wants_page(rq) && error_page(rq, pages, 404, &answer))
        return answer;
    tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
}

void tims_pages_finish(tims_request *rq, tims_answer *answer)
{
    const tims_pages *pages = rq->slots[TIMS_SLOT_PAGE];
    bool is_ours = answer->status == 403 || answer->status == 404 || answer->status >= 500;
    if (!rq->has_raised || pages == NULL || !is_ours || !wants_page(rq))
        return;
    (void)error_page(rq, pages, answer->status, answer); /* without one the problem document stays */
}
