/* build.c: a new build of the front end, while the program runs.
 *
 * dist/server/BUILD_ID says which one is there. A new one makes all kept pages worthless, since they name the
 * scripts of the old one; they go at once, and what processes of the old one still render is not kept. The
 * processes are replaced as always: another one starts, then the old one ends. Exported files are looked at
 * each time anyway.
 *
 * A render server that somebody else runs says its build in X-Build. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pages/pool_internal.h"

static void lock(pages__build *build)
{
    (void)pthread_mutex_lock(&build->mutex);
}

static void unlock(pages__build *build)
{
    (void)pthread_mutex_unlock(&build->mutex);
}

/* Empty: there is none, as while it is being built. */
static void read_id(const tims_pages *pages, char ret_id[PAGES__BUILD_LENGTH_MAX + 1])
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/dist/server/BUILD_ID", pages->options.front_directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, ret_id, PAGES__BUILD_LENGTH_MAX) : -1;
    if (fd >= 0)
        (void)close(fd);
    tims_str id = tims_str_trim((tims_str){ ret_id, length > 0 ? (size_t)length : 0 });
    memmove(ret_id, id.data, id.length);
    ret_id[id.length] = '\0';
}

void pages__build_init(tims_pages *pages)
{
    pages__build *build = &pages->build;
    TIMS_ASSERT(pthread_mutex_init(&build->mutex, NULL) == 0);
    read_id(pages, build->file);
    memcpy(build->name, build->file, sizeof build->name);
}

/* The lock is held. */
static void begin(tims_pages *pages, tims_str name)
{
    pages__build *build = &pages->build;
    memcpy(build->name, name.data, name.length);
    build->name[name.length] = '\0';
    atomic_fetch_add(&build->number, 1);
    atomic_fetch_add(&pages->counts.builds, 1);
    if (pages->options.cache != NULL)
        tims_cache_clear_kind(pages->options.cache, TIMS_CACHE_PAGE);
}

void pages__build_look(tims_pages *pages)
{
    pages__build *build = &pages->build;
    char id[PAGES__BUILD_LENGTH_MAX + 1];
    if (pages->options.development)
        return;
    read_id(pages, id);
    lock(build);
    bool is_new = id[0] != '\0' && strcmp(id, build->file) != 0;
    if (is_new) {
        memcpy(build->file, id, sizeof build->file);
        begin(pages, tims_str_from(id));
    }
    unlock(build);
    if (!is_new)
        return;
    tims_log(TIMS_LOG_INFO, "pages", "there is a new build of the front end id=%s", id);
    pool__replace_all(pages->pool);
}

bool pages__build_is(tims_pages *pages, tims_str name)
{
    lock(&pages->build);
    bool is = tims_str_equal(name, tims_str_from(pages->build.name));
    unlock(&pages->build);
    return is;
}

void pages__build_hear(tims_pages *pages, tims_str name)
{
    pages__build *build = &pages->build;
    if (name.length == 0 || name.length > PAGES__BUILD_LENGTH_MAX)
        return;
    lock(build);
    bool is_first = build->name[0] == '\0';
    if (is_first)
        memcpy(build->name, name.data, name.length);
    else if (!tims_str_equal(name, tims_str_from(build->name)))
        begin(pages, name);
    unlock(build);
}
