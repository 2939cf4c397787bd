/* asset.c: files of the front end.
 *
 * The rendered pages and the exported ones come from two builds, whose scripts differ in part. Their names
 * are hashes of their content, so both folders together are one: /_next/static is the union. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/pages_internal.h"

enum { PUBLIC_FILES_MAX = 96 };

static bool is_file(tims_arena *arena, const char *root, tims_str path)
{
    struct stat facts;
    tims_str full = tims_print(arena, "%s/%S", root, path);
    return stat(tims_copy_c(arena, full), &facts) == 0 && S_ISREG(facts.st_mode);
}

const char *pages__static_root(tims_arena *arena, const tims_pages *pages, tims_str path)
{
    const char *front = pages->options.front_directory;
    const char *server = tims_copy_c(arena, tims_print(arena, "%s/dist/server/static", front));
    const char *app = tims_copy_c(arena, tims_print(arena, "%s/dist/app/_next/static", front));
    return is_file(arena, server, path) ? server : app;
}

/* The path is decoded and normalised by the router: it has no "..". tims_answer_file looks again. Most are of
 * the rendered pages, and those cost no system call while the file cache has them. */
static tims_answer answer_static(tims_request *rq)
{
    const tims_pages *pages = rq->route->data;
    tims_str path = tims_path_str(rq, "path");
    tims_answer answer;
    if (tims_try_answer_file(rq, pages->static_root, path, true, &answer))
        return answer;
    return tims_answer_file(rq, pages__static_root(rq->arena, rq->route->data, path), path, true);
}

static tims_answer answer_public(tims_request *rq)
{
    const tims_pages *pages = rq->route->data;
    return tims_answer_file(rq, pages->public_root, tims_str_slice(rq->path, 1, rq->path.length), false);
}

/* An exported page by its file's name, for the service worker, which keeps them all: with the headers that it
 * has in a page's place, and nobody's data in it. */
static tims_answer answer_shell(tims_request *rq)
{
    tims_str path = tims_path_str(rq, "path");
    const tims_pages *pages = rq->route->data;
    pages__shell shell;
    if (!tims_str_ends_with(path, TIMS_STR(".html")) ||
        !pages__shell_find(rq, pages, tims_copy_c(rq->arena, path), &shell))
        tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
    return pages__shell_answer(rq, pages, 200, &shell);
}

static bool is_plain_name(tims_str name)
{
    if (name.length == 0 || name.data[0] == '.')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '-' || c == '_'))
            return false;
    }
    return !tims_str_ends_with(name, TIMS_STR(".br")) && !tims_str_ends_with(name, TIMS_STR(".gz"));
}

bool pages__try_public(tims_request *rq, const tims_pages *pages, tims_answer *ret_answer)
{
    tims_str path = tims_str_slice(rq->path, 1, rq->path.length), rest = path;
    if (rq->method != TIMS_METHOD_GET && rq->method != TIMS_METHOD_HEAD)
        return false;
    return is_plain_name(tims_str_cut(&rest, '/')) && is_file(rq->arena, pages->public_root, path) &&
           tims_try_answer_file(rq, pages->public_root, path, false, ret_answer);
}

bool pages__is_distant_public(const tims_request *rq, const tims_pages *pages)
{
    tims_str path = tims_str_slice(rq->path, 1, rq->path.length), first = path;
    bool is_read = rq->method == TIMS_METHOD_GET || rq->method == TIMS_METHOD_HEAD;
    return is_read && pages->options.development && access(pages->public_root, F_OK) != 0 &&
           !tims_str_starts_with(rq->path, TIMS_STR("/api/")) &&
           tims_str_find(path, TIMS_STR(".")) != SIZE_MAX && is_plain_name(tims_str_cut(&first, '/'));
}

static void add_public(tims_pages *pages, const char *root, const char *name)
{
    struct stat facts;
    const char *full = tims_copy_c(pages->arena, tims_print(pages->arena, "%s/%s", root, name));
    if (!is_plain_name(tims_str_from(name)) || stat(full, &facts) != 0)
        return;
    const char *format = S_ISDIR(facts.st_mode) ? "/%s/{path:path}" : "/%s";
    pages__add_route(
        pages, (tims_route){ .methods = TIMS_METHOD_GET,
                             .pattern = tims_copy_c(pages->arena, tims_print(pages->arena, format, name)),
                             .handler = answer_public,
                             .data = pages,
                             .doc = "A file of the front end's public folder.",
                             .no_csrf = true,
                             .anonymous = true });
}

/* Each name in public/ is a route, so that they win over nothing and cost nothing when another address is
 * asked for. What a later build puts there is found where nothing else is. */
static void add_public_files(tims_pages *pages)
{
    const char *root = pages->public_root;
    DIR *folder = opendir(root);
    if (folder == NULL)
        return;
    struct dirent *item;
    for (size_t count = 0; count < PUBLIC_FILES_MAX && (item = readdir(folder)) != NULL; count++)
        add_public(pages, root, item->d_name);
    (void)closedir(folder);
}

void pages__add_assets(tims_pages *pages)
{
    bool development = pages->options.development;
    pages->static_root = tims_copy_c(
        pages->arena, tims_print(pages->arena, "%s/dist/server/static", pages->options.front_directory));
    pages->public_root =
        tims_copy_c(pages->arena, tims_print(pages->arena, "%s/public", pages->options.front_directory));
    pages__add_route(
        pages, (tims_route){ .methods = TIMS_METHOD_GET | (development ? TIMS_METHOD_POST : 0),
                             .pattern = development ? "/_next/{path:path}" : "/_next/static/{path:path}",
                             .handler = development ? pages__proxy : answer_static,
                             .data = pages,
                             .doc = "Scripts and styles of the front end.",
                             .timeout_ms = development ? 120000 : 0,
                             .no_csrf = true,
                             .anonymous = true });
    pages__add_route(pages, (tims_route){ .methods = TIMS_METHOD_GET,
                                          .pattern = "/_shell/{path:path}",
                                          .handler = answer_shell,
                                          .data = pages,
                                          .doc = "Exported pages, for the service worker to keep.",
                                          .anonymous = true });
    add_public_files(pages);
}
