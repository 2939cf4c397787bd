/* shell.c: the exported file that takes a page's place, and the app's error pages.
 *
 * Each is read, and its scripts are hashed, once per version of the file. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/pages_internal.h"

enum { SHELLS_MAX = 512 };

/* A file as it was read. */
typedef struct shell {
    struct shell *next;
    dev_t device;
    ino_t inode;
    struct timespec modified;
    off_t size;
    tims_str name, html, sources; /* one block, behind this */
} shell;

struct pages__shells {
    pthread_mutex_t mutex;
    shell *first;
    size_t count;
};

static void free_shells(void *argument)
{
    pages__shells *shells = argument;
    while (shells->first != NULL) {
        shell *one = shells->first;
        shells->first = one->next;
        free(one);
    }
    (void)pthread_mutex_destroy(&shells->mutex);
}

void pages__shells_init(tims_pages *pages)
{
    pages->shells = TIMS_NEW(pages->arena, pages__shells);
    TIMS_ASSERT(pthread_mutex_init(&pages->shells->mutex, NULL) == 0);
    tims_arena_defer(pages->arena, free_shells, pages->shells);
}

static bool is_same_version(const shell *one, const struct stat *facts)
{
    return one->device == facts->st_dev && one->inode == facts->st_ino && one->size == facts->st_size &&
           one->modified.tv_sec == facts->st_mtim.tv_sec && one->modified.tv_nsec == facts->st_mtim.tv_nsec;
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

static tims_str put(char **at, tims_str text)
{
    char *start = *at;
    if (text.length > 0)
        memcpy(start, text.data, text.length);
    *at += text.length;
    return (tims_str){ start, text.length };
}

static shell *new_shell(tims_str name, const struct stat *facts, tims_str html, tims_str sources)
{
    shell *one = malloc(sizeof *one + name.length + html.length + sources.length);
    TIMS_ASSERT(one != NULL);
    char *at = (char *)(one + 1);
    *one = (shell){
        .device = facts->st_dev, .inode = facts->st_ino, .modified = facts->st_mtim, .size = facts->st_size
    };
    one->name = put(&at, name);
    one->html = put(&at, html);
    one->sources = put(&at, sources);
    return one;
}

/* Takes the place of an older version. */
static void keep(pages__shells *shells, shell *fresh)
{
    (void)pthread_mutex_lock(&shells->mutex);
    shell **link = &shells->first;
    while (*link != NULL && !tims_str_equal((*link)->name, fresh->name))
        link = &(*link)->next;
    shell *old = *link;
    fresh->next = old != NULL ? old->next : NULL;
    bool has_room = old != NULL || shells->count < SHELLS_MAX;
    if (has_room)
        *link = fresh;
    if (has_room && old == NULL)
        shells->count++;
    (void)pthread_mutex_unlock(&shells->mutex);
    free(has_room ? old : fresh);
}

static bool find(pages__shells *shells, tims_arena *arena, tims_str name, const struct stat *facts,
                 pages__shell *ret_shell)
{
    (void)pthread_mutex_lock(&shells->mutex);
    const shell *one = shells->first;
    while (one != NULL && !tims_str_equal(one->name, name))
        one = one->next;
    bool found = one != NULL && is_same_version(one, facts);
    if (found)
        *ret_shell = (pages__shell){ tims_copy(arena, one->html), tims_copy(arena, one->sources) };
    (void)pthread_mutex_unlock(&shells->mutex);
    return found;
}

bool pages__shell_find(tims_request *rq, const tims_pages *pages, const char *file, pages__shell *ret_shell)
{
    struct stat facts;
    tims_str name = tims_str_from(file), html;
    const char *path =
        tims_copy_c(rq->arena, tims_print(rq->arena, "%s/dist/app/%s", pages->options.front_directory, file));
    if (stat(path, &facts) != 0)
        return false;
    if (find(pages->shells, rq->arena, name, &facts, ret_shell))
        return true;
    if (!read_file(rq->arena, path, &html))
        return false;
    *ret_shell = (pages__shell){ html, pages__sources_of_export(rq->arena, html) };
    if ((off_t)html.length == facts.st_size)
        keep(pages->shells, new_shell(name, &facts, html, ret_shell->sources));
    return true;
}

tims_answer pages__shell_answer(tims_request *rq, const tims_pages *pages, int status,
                                const pages__shell *found)
{
    pages__set_policy(rq, pages, found->sources);
    pages__set_unkept(rq);
    return pages__html_answer(status, found->html);
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
    pages__shell found;
    const char *file = status >= 500 ? "500.html" : "404.html";
    if (pages->options.development || !pages__shell_find(rq, pages, file, &found))
        return false;
    *ret_answer = pages__shell_answer(rq, pages, status, &found);
    return true;
}

/* While developing there is no export, or an old one whose scripts are gone. */
static bool develop_error_page(tims_request *rq, tims_pages *pages, tims_answer *ret_answer)
{
    pages__rendering rendering = { .target = TIMS_STR("/404"), .data = TIMS_STR("null") };
    tims_error err = { 0 };
    if (pages__render(rq, pages, &rendering, &err) != TIMS_OK)
        return false;
    pages__set_policy(rq, pages, rendering.sources);
    pages__set_unkept(rq);
    *ret_answer = pages__html_answer(404, rendering.html);
    return true;
}

tims_answer tims_pages_not_found(tims_request *rq)
{
    tims_pages *pages = pages__of(rq);
    tims_answer answer;
    if (pages->options.development && pages__is_development_path(rq->path))
        return pages__proxy(rq);
    if (pages__try_public(rq, pages, &answer))
        return answer;
    if (pages__is_distant_public(rq, pages))
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
