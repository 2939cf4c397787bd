/* file_cache.c: small files kept in memory, per worker.
 *
 * A hot file costs no open, read or close: its bytes are written from here. That they are still the file's is
 * checked by one stat, at most every CHECK_US. An entry has the file as it is and, where that pays, its
 * brotli and gzip forms: from the neighbours `name.br` and `name.gz` when there are any, else made once,
 * here. The least recently used entries go when the cache is full; an entry in use lives on until its last
 * answer is out.
 *
 * Opening stays beneath the root whatever the path says: the kernel refuses to leave it (openat2), and where
 * the kernel cannot, the path is walked one name at a time without following any link. */
#include "http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tims/crypto.h"

enum {
    CACHE_BYTES_MAX = 8 * 1024 * 1024,
    ENTRY_OVERHEAD_BYTES = 512,
    PATH_BYTES_MAX = 4000,
    CHECK_US = 50 * 1000,
    ENCODE_BYTES_MIN = 1024,
    NAME_BYTES_MAX = 255
};

struct http__files {
    tims_map *entries;
    http__file *newest, *oldest;
    size_t total_bytes;
};

/* --- opening beneath a root ------------------------------------------------------------------- */

/* No empty names, no dot files (which covers `.` and `..`), nothing that is not a name. */
static bool is_plain_path(tims_str path)
{
    if (path.length == 0 || path.length > PATH_BYTES_MAX)
        return false;
    tims_str rest = path;
    do {
        tims_str name = tims_str_cut(&rest, '/');
        if (name.length == 0 || name.length > NAME_BYTES_MAX || name.data[0] == '.' ||
            memchr(name.data, 0, name.length) || memchr(name.data, '\\', name.length))
            return false;
    } while (rest.data);
    return true;
}

static int walk_beneath(int root_fd, tims_str path)
{
    int fd = dup(root_fd);
    tims_str rest = path;
    while (fd >= 0 && rest.data) {
        char name[NAME_BYTES_MAX + 1];
        tims_str part = tims_str_cut(&rest, '/');
        memcpy(name, part.data, part.length);
        name[part.length] = 0;
        int next =
            openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (rest.data ? O_DIRECTORY : 0));
        close(fd);
        fd = next;
    }
    return fd;
}

static int open_beneath(const char *root, tims_str path)
{
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -1;
    char text[PATH_BYTES_MAX + 1];
    memcpy(text, path.data, path.length);
    text[path.length] = 0;
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    int fd = (int)syscall(SYS_openat2, root_fd, text, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = walk_beneath(root_fd, path);
    close(root_fd);
    return fd;
}

static bool read_whole(int fd, size_t size, tims_str *ret_bytes)
{
    char *bytes = malloc(size > 0 ? size : 1);
    TIMS_ASSERT(bytes != NULL);
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, bytes + have, size - have, (off_t)have);
        if (got <= 0) {
            free(bytes);
            return false;
        }
        have += (size_t)got;
    }
    *ret_bytes = (tims_str){ bytes, size };
    return true;
}

/* --- entries ---------------------------------------------------------------------------------- */

static void free_file(http__file *file)
{
    for (int i = 0; i < 3; i++)
        free((char *)(uintptr_t)file->variants[i].bytes.data);
    free(file->key);
    free(file);
}

void http__file_unref(void *argument)
{
    http__file *file = argument;
    if (--file->references == 0)
        free_file(file);
}

static void unlink_use(http__files *files, http__file *file)
{
    *(file->newer ? &file->newer->older : &files->newest) = file->older;
    *(file->older ? &file->older->newer : &files->oldest) = file->newer;
    file->newer = file->older = NULL;
}

static void link_newest(http__files *files, http__file *file)
{
    file->older = files->newest;
    *(file->older ? &file->older->newer : &files->oldest) = file;
    files->newest = file;
}

static void drop(http__files *files, http__file *file)
{
    TIMS_ASSERT(file != NULL && file->in_cache);
    tims_map_remove(files->entries, (tims_str){ file->key, file->key_length });
    unlink_use(files, file);
    TIMS_ASSERT(files->oldest != file && files->newest != file);
    files->total_bytes -= file->total_bytes;
    file->in_cache = false;
    http__file_unref(file);
}

static void add(http__files *files, http__file *file)
{
    tims_map_set(files->entries, (tims_str){ file->key, file->key_length }, file);
    link_newest(files, file);
    file->in_cache = true;
    file->references++;
    files->total_bytes += file->total_bytes;
    while (files->total_bytes > CACHE_BYTES_MAX && files->oldest != file)
        drop(files, files->oldest);
}

static void set_variant(http__file *file, tims_encoding encoding, tims_str bytes)
{
    http__file_variant *variant = &file->variants[encoding];
    variant->bytes = bytes;
    variant->etag[0] = '"';
    tims_content_hash(bytes, variant->etag + 1);
    memcpy(variant->etag + 33, "\"", 2);
    file->total_bytes += bytes.length;
}

/* A neighbour that is older than the file is a leftover. */
static bool load_neighbour(http__file *file, const char *root, tims_str path, tims_encoding encoding)
{
    tims_buf name;
    tims_buf_init(&name, NULL, PATH_BYTES_MAX);
    tims_buf_print(&name, "%S%s", path, encoding == TIMS_BROTLI ? ".br" : ".gz");
    int fd = name.overflow ? -1 : open_beneath(root, tims_buf_str(&name));
    tims_buf_free(&name);
    if (fd < 0)
        return false;
    struct stat status;
    tims_str bytes = { 0 };
    bool loaded = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
                  status.st_size <= HTTP__CACHED_FILE_MAX &&
                  (int64_t)status.st_mtim.tv_sec >= file->modified_ns / 1000000000 &&
                  read_whole(fd, (size_t)status.st_size, &bytes);
    close(fd);
    if (loaded)
        set_variant(file, encoding, bytes);
    return loaded;
}

static void make_variant(http__file *file, http__compressor *compressor, tims_encoding encoding)
{
    tims_buf out;
    tims_buf_init(&out, NULL, HTTP__CACHED_FILE_MAX);
    if (http__compress(compressor, encoding, file->variants[TIMS_IDENTITY].bytes, &out)) {
        char *bytes = malloc(out.length);
        TIMS_ASSERT(bytes != NULL);
        memcpy(bytes, out.data, out.length);
        set_variant(file, encoding, (tims_str){ bytes, out.length });
    }
    tims_buf_free(&out);
}

static void load_variants(http__file *file, http__compressor *compressor, const char *root, tims_str path)
{
    bool pays = http__is_compressible(tims_content_type_of(path)) && file->size >= ENCODE_BYTES_MIN;
    for (int i = TIMS_GZIP; i <= TIMS_BROTLI; i++)
        if (!load_neighbour(file, root, path, (tims_encoding)i) && pays)
            make_variant(file, compressor, (tims_encoding)i);
}

static void note_identity(http__file *file, const struct stat *status, int64_t now_us)
{
    file->device = status->st_dev;
    file->inode = status->st_ino;
    file->size = (uint64_t)status->st_size;
    file->modified_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
    file->checked_us = now_us;
}

static bool is_unchanged(const http__file *file, const struct stat *status)
{
    return file->device == status->st_dev && file->inode == status->st_ino &&
           file->size == (uint64_t)status->st_size &&
           file->modified_ns == (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

/* --- the cache -------------------------------------------------------------------------------- */

http__files *http__files_new(void)
{
    http__files *files = calloc(1, sizeof(*files));
    TIMS_ASSERT(files != NULL);
    files->entries = tims_map_new();
    return files;
}

void http__files_free(http__files **files)
{
    if (!*files)
        return;
    while ((*files)->oldest)
        drop(*files, (*files)->oldest);
    tims_map_free(&(*files)->entries);
    free(*files);
    *files = NULL;
}

static tims_status load(http__files *files, http__compressor *compressor, const char *root, tims_str path,
                        tims_str key, int64_t now_us, http__file **ret_file, int *ret_fd)
{
    int fd = open_beneath(root, path);
    if (fd < 0)
        return TIMS_NOT_FOUND;
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return TIMS_NOT_FOUND;
    }
    if (status.st_size > HTTP__CACHED_FILE_MAX) {
        *ret_fd = fd;
        return TIMS_TOO_LARGE;
    }
    tims_str bytes = { 0 };
    bool is_read = read_whole(fd, (size_t)status.st_size, &bytes);
    close(fd);
    if (!is_read)
        return TIMS_NOT_FOUND; /* it shrank meanwhile */
    http__file *file = calloc(1, sizeof(*file));
    TIMS_ASSERT(file != NULL);
    file->key = malloc(key.length);
    TIMS_ASSERT(file->key != NULL);
    memcpy(file->key, key.data, key.length);
    file->key_length = key.length;
    file->total_bytes = ENTRY_OVERHEAD_BYTES + key.length;
    file->references = 1;
    note_identity(file, &status, now_us);
    set_variant(file, TIMS_IDENTITY, bytes);
    load_variants(file, compressor, root, path);
    add(files, file);
    *ret_file = file;
    return TIMS_OK;
}

tims_status http__files_get(http__files *files, http__compressor *compressor, const char *root, tims_str path,
                            int64_t now_us, http__file **ret_file, int *ret_fd)
{
    if (!is_plain_path(path))
        return TIMS_NOT_FOUND;
    size_t root_length = strlen(root);
    char key[2 * PATH_BYTES_MAX];
    if (root_length + path.length + 2 > sizeof(key))
        return TIMS_NOT_FOUND;
    memcpy(key, root, root_length);
    key[root_length] = '/';
    memcpy(key + root_length + 1, path.data, path.length);
    size_t key_length = root_length + 1 + path.length;
    key[key_length] = 0;
    http__file *file = tims_map_get(files->entries, (tims_str){ key, key_length });
    struct stat status;
    if (file && now_us - file->checked_us >= CHECK_US) {
        if (stat(key, &status) == 0 && is_unchanged(file, &status)) {
            file->checked_us = now_us;
        } else {
            drop(files, file);
            file = NULL;
        }
    }
    if (!file)
        return load(files, compressor, root, path, (tims_str){ key, key_length }, now_us, ret_file, ret_fd);
    if (files->newest != file) {
        unlink_use(files, file);
        link_newest(files, file);
    }
    file->references++;
    *ret_file = file;
    return TIMS_OK;
}
