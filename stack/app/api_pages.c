/* api_pages.c: the pages about the API: Swagger UI and Redoc, files that the front end's build copied from
 * their packages (front/scripts/api-docs.mjs).
 *
 * They run under a policy of their own: scripts of this site only, none in the page; Redoc makes its styles
 * in the browser and its search in a worker, and needs to be let. */
#include "app/app_internal.h"

static const struct page {
    const char *folder, *policy; /* what it may besides */
} docs = { "docs", "style-src 'self'" },
  redoc = { "redoc", "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:" };

/* The page is one of the files, so all of them have its policy. */
static tims_answer answer_file(tims_request *rq, const struct page *page, tims_str path)
{
    const app__stack *stack = rq->server_data;
    const char *root = tims_copy_c(rq->arena, tims_print(rq->arena, "%S/dist/api-docs/%s",
                                                         stack->settings.front_directory, page->folder));
    tims_answer answer;
    tims_set_header(
        rq, TIMS_STR("Content-Security-Policy"),
        tims_print(rq->arena,
                   "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
                   "font-src 'self' data:; base-uri 'none'; form-action 'self'; "
                   "frame-ancestors 'none'; %s",
                   page->policy));
    if (tims_try_answer_file(rq, root, path, false, &answer))
        return answer;
    if (tims_str_equal(path, TIMS_STR("index.html")))
        tims_raise(
            rq, 404, "not_built",
            "The pages about the API are not built: npm run api-docs --workspace front makes them. The "
            "document itself is at /api/schema.json.");
    tims_raise(rq, 404, "not_found", "There is no such file.");
}

/* A page that asks with the session needs the token in its cookie, as any page does. */
static tims_answer answer_docs(tims_request *rq)
{
    tims_csrf_cookie(rq);
    return answer_file(rq, &docs, TIMS_STR("index.html"));
}

static tims_answer answer_redoc(tims_request *rq)
{
    return answer_file(rq, &redoc, TIMS_STR("index.html"));
}

static tims_answer answer_docs_file(tims_request *rq)
{
    return answer_file(rq, &docs, tims_path_str(rq, "path"));
}

static tims_answer answer_redoc_file(tims_request *rq)
{
    return answer_file(rq, &redoc, tims_path_str(rq, "path"));
}

const tims_route app__api_pages[] = {
    { TIMS_METHOD_GET, "/api/docs/", answer_docs, .doc = "Swagger UI.", .api.is_hidden = true },
    { TIMS_METHOD_GET, "/api/docs/{path:path}", answer_docs_file, .anonymous = true, .doc = "Its files.",
      .api.is_hidden = true },
    { TIMS_METHOD_GET, "/api/redoc/", answer_redoc, .anonymous = true, .doc = "Redoc.",
      .api.is_hidden = true },
    { TIMS_METHOD_GET, "/api/redoc/{path:path}", answer_redoc_file, .anonymous = true, .doc = "Its files.",
      .api.is_hidden = true },
    { 0 },
};
