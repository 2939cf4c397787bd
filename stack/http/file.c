/* file.c: files as answers: encodings, validators, ranges.
 *
 * Small files come from the worker's cache and are written straight from there. Large ones are read and sent
 * in pieces on the request's fiber, at the client's pace. */
#include "http_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 128 * 1024, QUEUE_BYTES = 128 * 1024 };

static void close_fd(void *argument)
{
    close((int)(intptr_t)argument);
}

static void set_validators(tims_request *rq, int64_t modified_s, bool immutable)
{
    char date[TIMS_HTTP_DATE_LENGTH];
    tims_http_date_format(modified_s, date);
    tims_set_header(rq, TIMS_STR("Last-Modified"), (tims_str){ date, sizeof(date) });
    http__set_default_header(rq, TIMS_STR("Cache-Control"),
                             immutable ? TIMS_STR("public, max-age=31536000, immutable")
                                       : TIMS_STR("no-cache"));
}

/* The part of `size` bytes that is asked for; sets what a partial answer needs. Raises: 416. */
static int choose_range(tims_request *rq, tims_str etag, int64_t modified_s, uint64_t size,
                        uint64_t *ret_first, uint64_t *ret_length)
{
    *ret_first = 0;
    *ret_length = size;
    tims_set_header(rq, TIMS_STR("Accept-Ranges"), TIMS_STR("bytes"));
    tims_str range = tims_header_of(rq, TIMS_STR("Range"));
    if (!range.data || rq->method != TIMS_METHOD_GET || !http__range_applies(rq, etag, modified_s))
        return 200;
    switch (http__range_parse(range, size, ret_first, ret_length)) {
    case HTTP__RANGE_PART:
        tims_set_header(rq, TIMS_STR("Content-Range"),
                        tims_print(rq->arena, "bytes %llu-%llu/%llu", (unsigned long long)*ret_first,
                                   (unsigned long long)(*ret_first + *ret_length - 1),
                                   (unsigned long long)size));
        return 206;
    case HTTP__RANGE_BAD:
        tims_set_header(rq, TIMS_STR("Content-Range"),
                        tims_print(rq->arena, "bytes */%llu", (unsigned long long)size));
        tims_raise(rq, 416, "range", "This has only %llu bytes.", (unsigned long long)size);
    case HTTP__RANGE_NONE:
        break;
    }
    return 200;
}

/* Ranges count the file's own bytes, so they are never combined with an encoding. */
static const http__file_variant *choose_variant(tims_request *rq, const http__file *file)
{
    uint32_t available = 0;
    for (int i = TIMS_GZIP; i <= TIMS_BROTLI; i++)
        if (file->variants[i].bytes.data)
            available |= 1u << i;
    if (!available)
        return &file->variants[TIMS_IDENTITY];
    http__add_vary(rq, TIMS_STR("Accept-Encoding"));
    if (tims_header_of(rq, TIMS_STR("Range")).data)
        return &file->variants[TIMS_IDENTITY];
    tims_encoding encoding =
        http__encoding_choose(tims_header_of(rq, TIMS_STR("Accept-Encoding")), available);
    if (encoding != TIMS_IDENTITY)
        tims_set_header(rq, TIMS_STR("Content-Encoding"), http__encoding_name(encoding));
    return &file->variants[encoding];
}

static tims_answer answer_cached(tims_request *rq, http__file *file, tims_str path, bool immutable)
{
    tims_defer(rq, http__file_unref, file);
    const http__file_variant *variant = choose_variant(rq, file);
    int64_t modified_s = file->modified_ns / 1000000000;
    set_validators(rq, modified_s, immutable);
    tims_str etag = tims_str_from(variant->etag);
    if (tims_not_modified(rq, etag))
        return tims_answer_empty(304);
    uint64_t first = 0, length = 0;
    int status = choose_range(rq, etag, modified_s, variant->bytes.length, &first, &length);
    if (status == 200 && http__is_compressible(tims_content_type_of(path)))
        rq->exchange->is_encoded = true; /* every encoding that pays was looked at */
    return tims_answer_bytes(status, tims_content_type_of(path),
                             tims_str_slice(variant->bytes, first, first + length));
}

/* `fd` is released with the request. */
static tims_answer answer_large(tims_request *rq, int fd, tims_str path, bool immutable)
{
    tims_defer(rq, close_fd, (void *)(intptr_t)fd);
    struct stat status;
    if (fstat(fd, &status) != 0)
        tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
    uint64_t size = (uint64_t)status.st_size;
    set_validators(rq, status.st_mtim.tv_sec, immutable);
    tims_str etag = tims_print(rq->arena, "\"%llx-%llx-%llx\"", (unsigned long long)status.st_mtim.tv_sec,
                               (unsigned long long)status.st_mtim.tv_nsec, (unsigned long long)size);
    if (tims_not_modified(rq, etag))
        return tims_answer_empty(304);
    http__exchange *exchange = rq->exchange;
    int http_status =
        choose_range(rq, etag, status.st_mtim.tv_sec, size, &exchange->file_first, &exchange->file_length);
    exchange->has_file = true;
    exchange->file_fd = fd;
    return (tims_answer){ .status = http_status,
                          .content_type = tims_content_type_of(path),
                          .kind = TIMS_BODY_FILE };
}

bool tims_try_answer_file(tims_request *rq, const char *root, tims_str path, bool immutable,
                          tims_answer *ret_answer)
{
    TIMS_ASSERT(rq->exchange != NULL);
    http__worker *worker = rq->exchange->worker;
    http__file *file = NULL;
    int fd = -1;
    tims_status status = http__files_get(worker->files, worker->compressor, root, path,
                                         tims_loop_now_us(worker->loop), &file, &fd);
    if (status == TIMS_OK)
        *ret_answer = answer_cached(rq, file, path, immutable);
    else if (status == TIMS_TOO_LARGE)
        *ret_answer = answer_large(rq, fd, path, immutable);
    return status == TIMS_OK || status == TIMS_TOO_LARGE;
}

tims_answer tims_answer_file(tims_request *rq, const char *root, tims_str path, bool immutable)
{
    tims_answer answer;
    if (!tims_try_answer_file(rq, root, path, immutable, &answer))
        tims_raise(rq, 404, "not_found", "%s", tims_status_text(TIMS_NOT_FOUND));
    return answer;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* An answer that only names a file, as an application may make one itself. */
static bool open_named(http__exchange *exchange, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0)
        return false;
    tims_defer(&exchange->rq, close_fd, (void *)(intptr_t)fd);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    exchange->has_file = true;
    exchange->file_fd = fd;
    exchange->file_first = 0;
    exchange->file_length = (uint64_t)status.st_size;
    return true;
}

static bool send_pieces(http__exchange *exchange)
{
    char *piece = tims_alloc_raw(exchange->rq.arena, PIECE_BYTES);
    uint64_t left = exchange->file_length, at = exchange->file_first;
    while (left > 0) {
        size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        ssize_t got = pread(exchange->file_fd, piece, want, (off_t)at);
        if (got <= 0 || exchange->client_gone || exchange->connection->closing)
            return false;
        http__out_append(exchange->connection, (tims_str){ piece, (size_t)got });
        exchange->sent_bytes += (uint64_t)got;
        at += (uint64_t)got;
        left -= (uint64_t)got;
        http__out_flush(exchange->connection);
        if (exchange->connection->closing ||
            tims_stream_wait_below(exchange->connection->stream, QUEUE_BYTES) != TIMS_OK)
            return false;
    }
    return true;
}

void http__file_send(http__exchange *exchange, const tims_answer *answer)
{
    if (!exchange->has_file && (!answer->file_path || !open_named(exchange, answer->file_path))) {
        tims_answer missing = http__problem(&exchange->rq, 404, TIMS_NOT_FOUND);
        http__answer_send(exchange, &missing);
        return;
    }
    http__head_write(exchange, answer->status, answer->content_type, (int64_t)exchange->file_length);
    /* A large file takes what it takes; only a stuck client ends it, by the write timeout. */
    tims_fiber_set_deadline(0);
    exchange->body_done = exchange->is_head || send_pieces(exchange);
}
