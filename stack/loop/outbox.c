/* outbox.c: what a stream has been given to write and the kernel has not taken.
 *
 * A write goes straight to the kernel when nothing is queued; only the rest gets here. Chunks hold copies
 * (small writes join the last chunk while it has room) or borrowed slices with a release. One batch at a time
 * is handed to libuv, of bounded size, so that `queued` falls as the peer reads and waiters are woken on the
 * way. The outbox itself exists only while it holds something: an idle stream pays one pointer. */
#include <stdlib.h>
#include <string.h>

#include "loop/loop_internal.h"

enum { BATCH_SLICES_MAX = 64, BATCH_BYTES_MAX = 256 * 1024, CHUNK_BYTES_MIN = 4096, CHUNK_JOIN_MAX = 65536 };

_Static_assert(sizeof(uv_buf_t) == sizeof(tims_str), "slices are given to libuv as they are");
_Static_assert(offsetof(uv_buf_t, base) == offsetof(tims_str, data), "slices are given to libuv as they are");
_Static_assert(offsetof(uv_buf_t, len) == offsetof(tims_str, length),
               "slices are given to libuv as they are");

static const uv_buf_t *as_uv_bufs(const tims_str *slices)
{
    return (const uv_buf_t *)(const void *)slices;
}

static size_t sum_lengths(const tims_str *slices, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        TIMS_ASSERT(slices[i].length <= SIZE_MAX - sum);
        sum += slices[i].length;
    }
    return sum;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static void *allocate(size_t bytes, size_t more)
{
    TIMS_ASSERT(more <= SIZE_MAX - bytes);
    void *made = malloc(bytes + more);
    TIMS_ASSERT(made != NULL);
    return made;
}

static void append_chunk(outbox *box, chunk *added)
{
    added->next = NULL;
    if (box->last != NULL)
        box->last->next = added;
    else
        box->first = added;
    box->last = added;
}

static void free_chunk(chunk *freed)
{
    if (freed->release != NULL)
        freed->release(freed->release_argument);
    free(freed);
}

/* Appends the bytes from `skip` on to the last chunk, if it is a copy with room. */
static char *find_room(outbox *box, size_t bytes)
{
    chunk *last = box->last;
    if (last == NULL || last->data == NULL || last->room < bytes)
        return NULL;
    char *room = (char *)(uintptr_t)last->slices[0].data + last->slices[0].length;
    last->slices[0].length += bytes;
    last->room -= bytes;
    return room;
}

static char *make_room(outbox *box, size_t bytes)
{
    size_t capacity = bytes;
    if (capacity < CHUNK_BYTES_MIN)
        capacity = CHUNK_BYTES_MIN;
    else if (capacity < CHUNK_JOIN_MAX && box->first != NULL)
        capacity = CHUNK_JOIN_MAX;
    chunk *made = allocate(sizeof *made + sizeof(tims_str), capacity);
    *made = (chunk){ .slices = (tims_str *)(made + 1), .slices_count = 1, .room = capacity - bytes };
    made->data = (char *)(made->slices + 1);
    made->slices[0] = (tims_str){ made->data, bytes };
    append_chunk(box, made);
    return made->data;
}

static void add_copy(outbox *box, const tims_str *slices, size_t count, size_t skip, size_t bytes)
{
    char *room = find_room(box, bytes);
    if (room == NULL)
        room = make_room(box, bytes);
    for (size_t i = 0; i < count; i++) {
        size_t cut = skip < slices[i].length ? skip : slices[i].length;
        size_t length = slices[i].length - cut;
        skip -= cut;
        if (length > 0)
            memcpy(room, slices[i].data + cut, length);
        room += length;
    }
}

static void add_borrowed(outbox *box, const tims_str *slices, size_t count, size_t skip, tims_loop_fn release,
                         void *argument)
{
    TIMS_ASSERT(count <= SIZE_MAX / sizeof(tims_str) / 2);
    chunk *made = allocate(sizeof *made, count * sizeof(tims_str));
    *made = (chunk){ .release = release, .release_argument = argument, .slices = (tims_str *)(made + 1) };
    for (size_t i = 0; i < count; i++) {
        size_t cut = skip < slices[i].length ? skip : slices[i].length;
        skip -= cut;
        if (slices[i].length > cut)
            made->slices[made->slices_count++] = (tims_str){ slices[i].data + cut, slices[i].length - cut };
    }
    append_chunk(box, made);
}

/* --- batches ---------------------------------------------------------------------------------- */

static void finish_batch(uv_write_t *request, int status);

static size_t gather_batch(const outbox *box, tims_str batch[BATCH_SLICES_MAX], size_t *ret_bytes)
{
    size_t count = 0;
    size_t bytes = 0;
    for (const chunk *at = box->first; at != NULL; at = at->next) {
        for (size_t i = at->slice; i < at->slices_count; i++) {
            if (count == BATCH_SLICES_MAX || bytes == BATCH_BYTES_MAX)
                goto full;
            size_t length = at->slices[i].length;
            if (length > BATCH_BYTES_MAX - bytes)
                length = BATCH_BYTES_MAX - bytes;
            batch[count++] = (tims_str){ at->slices[i].data, length };
            bytes += length;
        }
    }
full:
    *ret_bytes = bytes;
    return count;
}

static void start_batch(tims_stream *stream)
{
    outbox *box = stream->outbox;
    if (box->in_flight || box->first == NULL || stream->broken || stream->closing)
        return;
    tims_str batch[BATCH_SLICES_MAX];
    size_t count = gather_batch(box, batch, &box->in_flight_bytes);
    box->request.data = stream;
    box->in_flight = true;
    int err = uv_write(&box->request, &stream->uv.stream, as_uv_bufs(batch), (unsigned)count, finish_batch);
    if (err != 0) {
        box->in_flight = false;
        box->in_flight_bytes = 0;
        loop__stream_fail(stream, err);
    }
}

/* Takes written bytes off the front; releases what is done with. */
static void take_off(outbox *box, size_t bytes)
{
    box->bytes -= bytes;
    while (bytes > 0) {
        chunk *first = box->first;
        TIMS_ASSERT(first != NULL);
        tims_str *slice = &first->slices[first->slice];
        size_t taken = slice->length < bytes ? slice->length : bytes;
        bytes -= taken;
        slice->data += taken;
        slice->length -= taken;
        if (slice->length == 0)
            first->slice++;
        if (first->slice == first->slices_count) {
            box->first = first->next;
            if (box->first == NULL)
                box->last = NULL;
            free_chunk(first);
        }
    }
}

static void finish_batch(uv_write_t *request, int status)
{
    tims_stream *stream = request->data;
    outbox *box = stream->outbox;
    if (status != 0 || stream->closing) { /* the close releases everything */
        box->in_flight = false;
        loop__stream_fail(stream, status);
        return;
    }
    size_t bytes = box->in_flight_bytes;
    box->in_flight_bytes = 0;
    take_off(box, bytes); /* still in flight: a release may write, which must only queue */
    box->in_flight = false;
    if (stream->closing)
        return;
    loop__outbox_wake(stream, TIMS_OK);
    if (box->first != NULL) {
        start_batch(stream);
        return;
    }
    free(box);
    stream->outbox = NULL;
    loop__stream_drained(stream);
}

/* --- what the stream calls -------------------------------------------------------------------- */

void loop__outbox_drop(tims_stream *stream)
{
    outbox *box = stream->outbox;
    if (box == NULL)
        return;
    TIMS_ASSERT(!box->in_flight);
    stream->outbox = NULL;
    while (box->first != NULL) {
        chunk *next = box->first->next;
        free_chunk(box->first);
        box->first = next;
    }
    free(box);
}

/* Wakes those for whom little enough is queued; with a status other than OK, all. */
void loop__outbox_wake(tims_stream *stream, tims_status status)
{
    size_t queued = tims_stream_queued(stream);
    drain_waiter **link = &stream->waiters;
    while (*link != NULL) {
        drain_waiter *waiter = *link;
        if (status == TIMS_OK && queued >= waiter->below_bytes) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        waiter->done = true;
        waiter->status = status;
        tims_fiber_wake(waiter->fiber);
    }
}

size_t tims_stream_queued(const tims_stream *stream)
{
    const outbox *box = stream->outbox;
    if (box == NULL || stream->closing)
        return 0;
    size_t left_of_batch = box->in_flight ? uv_stream_get_write_queue_size(&stream->uv.stream) : 0;
    return box->bytes - box->in_flight_bytes + left_of_batch;
}

/* Writes what the kernel takes at once; true with how much, or false with why not. */
static bool write_now(tims_stream *stream, const tims_str *slices, size_t count, size_t *ret_written,
                      tims_status *ret_status)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    *ret_written = 0;
    if (stream->closing || stream->shut || stream->broken) {
        *ret_status = TIMS_CLOSED;
        return false;
    }
    if (stream->outbox != NULL || count == 0)
        return true;
    int written = uv_try_write(&stream->uv.stream, as_uv_bufs(slices), count > 1024 ? 1024 : (unsigned)count);
    if (written == UV_EAGAIN)
        return true;
    if (written < 0) {
        stream->broken = true;
        *ret_status = loop__status_from_uv(written) == TIMS_CLOSED ? TIMS_CLOSED : TIMS_IO;
        return false;
    }
    *ret_written = (size_t)written;
    return true;
}

static outbox *get_outbox(tims_stream *stream)
{
    if (stream->outbox == NULL) {
        stream->outbox = allocate(sizeof *stream->outbox, 0);
        stream->outbox->in_flight = false;
        stream->outbox->in_flight_bytes = stream->outbox->bytes = 0;
        stream->outbox->first = stream->outbox->last = NULL;
    }
    return stream->outbox;
}

tims_status tims_stream_write(tims_stream *stream, const tims_str *slices, size_t count)
{
    size_t written = 0;
    tims_status status = TIMS_OK;
    if (!write_now(stream, slices, count, &written, &status))
        return status;
    size_t left = sum_lengths(slices, count) - written;
    if (left == 0)
        return TIMS_OK;
    outbox *box = get_outbox(stream);
    add_copy(box, slices, count, written, left);
    box->bytes += left;
    start_batch(stream);
    return TIMS_OK;
}

tims_status tims_stream_write_owned(tims_stream *stream, const tims_str *slices, size_t count,
                                    tims_loop_fn release, void *argument)
{
    TIMS_ASSERT(release != NULL);
    size_t written = 0;
    tims_status status = TIMS_OK;
    bool usable = write_now(stream, slices, count, &written, &status);
    size_t left = usable ? sum_lengths(slices, count) - written : 0;
    if (left == 0) {
        release(argument);
        return status;
    }
    outbox *box = get_outbox(stream);
    add_borrowed(box, slices, count, written, release, argument);
    box->bytes += left;
    start_batch(stream);
    return TIMS_OK;
}

/* The waiter is on its fiber's stack; it leaves the line before that ends, by a wake or by `leave_line`. Not
 * inlined: gcc would see the address stay and not the wake that takes it out. */
static __attribute__((noinline)) void join_line(drain_waiter **line, drain_waiter *joining)
{
    joining->next = *line;
    *line = joining;
}

static void leave_line(drain_waiter **line, const drain_waiter *leaving)
{
    while (*line != leaving)
        line = &(*line)->next;
    *line = leaving->next;
}

tims_status tims_stream_wait_below(tims_stream *stream, size_t bytes)
{
    TIMS_CHECK_MAGIC(stream, STREAM_MAGIC);
    TIMS_ASSERT(bytes > 0);
    if (stream->closing || stream->broken)
        return TIMS_CLOSED;
    if (tims_stream_queued(stream) < bytes)
        return TIMS_OK;
    drain_waiter mine = { .fiber = tims_fiber_self(), .below_bytes = bytes };
    TIMS_ASSERT(mine.fiber != NULL);
    join_line(&stream->waiters, &mine);
    tims_status status = TIMS_OK;
    while (!mine.done && status == TIMS_OK)
        status = tims_fiber_suspend();
    if (mine.done)
        return mine.status; /* the stream may be gone */
    leave_line(&stream->waiters, &mine);
    return status;
}
