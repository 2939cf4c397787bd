/* policy.c: which scripts of a page run, and who may keep the page.
 *
 * A page that is kept is given out many times, so its policy cannot name a nonce: who has seen it once would
 * know it. Instead the renderer gets a nonce that nobody else ever sees; the scripts in its HTML that carry
 * exactly this one are its own, the policy names them by their hashes, and the nonce is taken out of the
 * HTML. What somebody managed to write into the page carries no nonce, so it gets no hash and does not run.
 *
 * The exported files were built by us and hold nobody's data: every script in them is ours. */
#include <string.h>

#include "pages/pages_internal.h"
#include "tims/crypto.h"

tims_str pages__nonce(tims_arena *arena)
{
    char bytes[16];
    tims_random(bytes, sizeof bytes);
    return tims_base64url(arena, (tims_str){ bytes, sizeof bytes });
}

/* --- reading tags ------------------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Behind the '>' that ends the tag; values in quotes may hold one. */
static size_t end_of_tag(tims_str html, size_t at)
{
    char quote = '\0';
    for (; at < html.length; at++) {
        char c = html.data[at];
        if (quote != '\0')
            quote = c == quote ? '\0' : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return at + 1;
    }
    return html.length;
}

static bool is_script_tag(tims_str html, size_t at)
{
    const tims_str name = TIMS_STR("<script");
    size_t behind = at + name.length;
    return tims_str_equal_ignoring_case(tims_str_slice(html, at, behind), name) && behind < html.length &&
           (is_space(html.data[behind]) || html.data[behind] == '>');
}

/* The next "</script", as a browser looks for it; the end of the text without one. */
static size_t end_of_script(tims_str html, size_t at)
{
    const tims_str name = TIMS_STR("</script");
    for (; at + name.length <= html.length; at++) {
        const char *found = memchr(html.data + at, '<', html.length - at);
        if (found == NULL)
            break;
        at = (size_t)(found - html.data);
        if (tims_str_equal_ignoring_case(tims_str_slice(html, at, at + name.length), name))
            return at;
    }
    return html.length;
}

/* What has an address is 'self' or nothing; data is never run. */
static bool runs_inline(tims_str tag)
{
    return tims_str_find(tag, TIMS_STR(" src=")) == SIZE_MAX &&
           tims_str_find(tag, TIMS_STR(" type=\"application/json\"")) == SIZE_MAX;
}

/* `at`: where the tag begins. */
static void allow_script(tims_str html, size_t at, tims_buf *sources)
{
    size_t begin = end_of_tag(html, at);
    if (!runs_inline(tims_str_slice(html, at, begin)))
        return;
    tims_str content = tims_str_slice(html, begin, end_of_script(html, begin));
    char hash[TIMS_SHA256_TEXT_LENGTH];
    tims_sha256(content, hash);
    tims_str source = { hash, sizeof hash };
    if (content.length > 0 && tims_str_find(tims_buf_str(sources), source) == SIZE_MAX)
        tims_buf_print(sources, " 'sha256-%S'", source);
}

static tims_str all_of(const tims_buf *sources)
{
    if (sources->overflow)
        tims_log(TIMS_LOG_ERROR, "pages", "a page has more inline scripts than its policy may name");
    return tims_buf_str(sources);
}

/* --- pages ------------------------------------------------------------------------------------------- */

/* The tag that `at` lies in. An opened tag before it, whose attributes somebody wants to swallow this one,
 * does not count: the last '<' does. */
static size_t begin_of_tag(tims_str html, size_t at)
{
    while (at > 0 && html.data[at] != '<')
        at--;
    return at;
}

tims_str pages__seal(tims_arena *arena, tims_str html, tims_str nonce, tims_str *ret_sources)
{
    tims_str attribute = tims_print(arena, " nonce=\"%S\"", nonce);
    tims_buf out, sources;
    tims_buf_init(&out, arena, html.length + 1);
    tims_buf_init(&sources, arena, PAGES__SOURCES_BYTES_MAX);
    (void)tims_buf_reserve(&out, html.length);
    size_t from = 0;
    for (;;) {
        size_t found = tims_str_find(tims_str_slice(html, from, html.length), attribute);
        if (found == SIZE_MAX)
            break;
        size_t at = from + found, tag = begin_of_tag(html, at);
        if (is_script_tag(html, tag))
            allow_script(html, tag, &sources);
        tims_buf_append_str(&out, tims_str_slice(html, from, at));
        from = at + attribute.length;
    }
    tims_buf_append_str(&out, tims_str_slice(html, from, html.length));
    *ret_sources = all_of(&sources);
    return tims_buf_str(&out);
}

tims_str pages__sources_of_export(tims_arena *arena, tims_str html)
{
    tims_buf sources;
    tims_buf_init(&sources, arena, PAGES__SOURCES_BYTES_MAX);
    for (size_t at = 0; at < html.length; at++) {
        const char *found = memchr(html.data + at, '<', html.length - at);
        if (found == NULL)
            break;
        at = (size_t)(found - html.data);
        if (!is_script_tag(html, at))
            continue;
        allow_script(html, at, &sources);
        at = end_of_script(html, end_of_tag(html, at));
    }
    return all_of(&sources);
}

/* --- headers ----------------------------------------------------------------------------------------- */

void pages__set_policy(tims_request *rq, const tims_pages *pages, tims_str sources)
{
    bool development = pages->options.development;
    tims_str policy =
        tims_print(rq->arena,
                   "default-src 'self'; script-src 'self'%S%s; style-src 'self'%s; "
                   "style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'%s; "
                   "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                   sources, development ? " 'unsafe-eval'" : "", development ? " 'unsafe-inline'" : "",
                   development ? " ws: wss:" : "");
    tims_set_header(rq, TIMS_STR("Content-Security-Policy"), policy);
}

void pages__set_unkept(tims_request *rq)
{
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("private, no-store"));
}
