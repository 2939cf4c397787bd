/* picture.c: what a picture is and how large, from its bytes; what its sender says does not count.
 *
 * Only containers are walked (chunks, segments, blocks), to their end, so that a file that was cut off is
 * told from a whole one; pixels are never decoded here. SVG is no picture in this sense: it is a document
 * that can run scripts. */
#include "http_internal.h"

#include <string.h>

/* A place in bytes from outside: `at` never passes the end. */
typedef struct picture_reader {
    tims_str bytes;
    size_t at;
} picture_reader;

static bool has(const picture_reader *r, size_t count)
{
    return count <= r->bytes.length - r->at;
}

static bool skip(picture_reader *r, size_t count)
{
    if (!has(r, count))
        return false;
    r->at += count;
    return true;
}

static uint8_t byte_at(const picture_reader *r, size_t offset)
{
    return (uint8_t)r->bytes.data[r->at + offset];
}

static uint32_t big_16(const picture_reader *r, size_t offset)
{
    return (uint32_t)byte_at(r, offset) << 8 | byte_at(r, offset + 1);
}

static uint32_t big_32(const picture_reader *r, size_t offset)
{
    return big_16(r, offset) << 16 | big_16(r, offset + 2);
}

static uint32_t little_16(const picture_reader *r, size_t offset)
{
    return (uint32_t)byte_at(r, offset + 1) << 8 | byte_at(r, offset);
}

static uint32_t little_24(const picture_reader *r, size_t offset)
{
    return (uint32_t)byte_at(r, offset + 2) << 16 | little_16(r, offset);
}

static uint32_t little_32(const picture_reader *r, size_t offset)
{
    return little_16(r, offset + 2) << 16 | little_16(r, offset);
}

static bool is_at(const picture_reader *r, size_t offset, const char text[4])
{
    return has(r, offset + 4) && memcmp(r->bytes.data + r->at + offset, text, 4) == 0;
}

/* Chunks of length, name, content, sum: IHDR first, IEND last. */
static bool read_png(picture_reader *r, tims_picture *ret)
{
    enum { SIGNATURE = 8, AROUND = 12, HEADER = 13 };
    bool first = true;
    r->at = SIGNATURE;
    for (;; first = false) {
        if (!has(r, AROUND))
            return false;
        uint32_t length = big_32(r, 0);
        if (!has(r, AROUND + (size_t)length))
            return false;
        if (first) {
            if (!is_at(r, 4, "IHDR") || length != HEADER)
                return false;
            *ret = (tims_picture){ "image/png", big_32(r, 8), big_32(r, 12) };
        }
        if (is_at(r, 4, "IEND"))
            return true;
        r->at += AROUND + (size_t)length;
    }
}

/* Segments up to the picture's data (SOS), one of which is a frame header (SOF); EOI somewhere at the end:
 * some cameras put bytes behind it. */
static bool read_jpeg(picture_reader *r, tims_picture *ret)
{
    enum { SOS = 0xda, MARKER = 0xff, SOF_FIRST = 0xc0, SOF_LAST = 0xcf, DHT = 0xc4, JPG = 0xc8, DAC = 0xcc };
    r->at = 2;
    for (;;) {
        while (has(r, 2) && byte_at(r, 0) == MARKER && byte_at(r, 1) == MARKER)
            r->at++; /* padding */
        if (!has(r, 4) || byte_at(r, 0) != MARKER)
            return false;
        uint8_t marker = byte_at(r, 1);
        size_t length = big_16(r, 2);
        if (length < 2 || !has(r, 2 + length))
            return false;
        if (marker == SOS)
            break;
        if (marker >= SOF_FIRST && marker <= SOF_LAST && marker != DHT && marker != JPG && marker != DAC) {
            if (length < 8)
                return false;
            *ret = (tims_picture){ "image/jpeg", big_16(r, 7), big_16(r, 5) };
        }
        r->at += 2 + length;
    }
    const tims_str end = TIMS_STR("\xff\xd9");
    return ret->content_type != NULL &&
           tims_str_find(tims_str_slice(r->bytes, r->at, r->bytes.length), end) != SIZE_MAX;
}

/* RIFF: its length says where it ends; the first chunk says which kind of WebP it is. */
static bool read_webp(picture_reader *r, tims_picture *ret)
{
    enum { BEFORE = 8, HEAD = 30 };
    size_t length = little_32(r, 4);
    if (!has(r, HEAD) || length > r->bytes.length - BEFORE || length < HEAD - BEFORE)
        return false;
    if (is_at(r, 12, "VP8X")) {
        *ret = (tims_picture){ "image/webp", little_24(r, 24) + 1, little_24(r, 27) + 1 };
    } else if (is_at(r, 12, "VP8L") && byte_at(r, 20) == 0x2f) {
        uint32_t bits = little_32(r, 21);
        *ret = (tims_picture){ "image/webp", (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1 };
    } else if (is_at(r, 12, "VP8 ") && little_24(r, 23) == 0x2a019d) {
        *ret = (tims_picture){ "image/webp", little_16(r, 26) & 0x3fff, little_16(r, 28) & 0x3fff };
    } else {
        return false;
    }
    return true;
}

/* Length-prefixed pieces up to an empty one. */
static bool skip_pieces(picture_reader *r)
{
    for (;;) {
        if (!has(r, 1))
            return false;
        uint8_t length = byte_at(r, 0);
        if (!skip(r, 1 + (size_t)length))
            return false;
        if (length == 0)
            return true;
    }
}

static bool skip_colours(picture_reader *r, uint8_t flags)
{
    return !(flags & 0x80) || skip(r, (size_t)3 << ((flags & 7) + 1));
}

/* Blocks up to the trailer: extensions and images, each followed by its pieces. */
static bool read_gif(picture_reader *r, tims_picture *ret)
{
    enum { HEAD = 13, EXTENSION = 0x21, IMAGE = 0x2c, TRAILER = 0x3b, IMAGE_HEAD = 9 };
    if (!has(r, HEAD))
        return false;
    *ret = (tims_picture){ "image/gif", little_16(r, 6), little_16(r, 8) };
    uint8_t flags = byte_at(r, 10);
    if (!skip(r, HEAD) || !skip_colours(r, flags))
        return false;
    for (;;) {
        if (!has(r, 1))
            return false;
        uint8_t kind = byte_at(r, 0);
        r->at++;
        if (kind == TRAILER)
            return true;
        if (kind == EXTENSION) {
            if (!skip(r, 1) || !skip_pieces(r))
                return false;
        } else if (kind == IMAGE && has(r, IMAGE_HEAD)) {
            flags = byte_at(r, IMAGE_HEAD - 1);
            if (!skip(r, IMAGE_HEAD) || !skip_colours(r, flags) || !skip(r, 1) || !skip_pieces(r))
                return false;
        } else {
            return false;
        }
    }
}

const char *tims_picture_type(tims_str bytes)
{
    if (tims_str_starts_with(bytes, TIMS_STR("\x89PNG\r\n\x1a\n")))
        return "image/png";
    if (tims_str_starts_with(bytes, TIMS_STR("\xff\xd8\xff")))
        return "image/jpeg";
    if (tims_str_starts_with(bytes, TIMS_STR("RIFF")) &&
        tims_str_equal(tims_str_slice(bytes, 8, 12), TIMS_STR("WEBP")))
        return "image/webp";
    if (tims_str_starts_with(bytes, TIMS_STR("GIF87a")) || tims_str_starts_with(bytes, TIMS_STR("GIF89a")))
        return "image/gif";
    return NULL;
}

tims_status tims_picture_read(tims_str bytes, tims_picture *ret_picture, tims_error *err)
{
    static const struct {
        const char *type;
        bool (*read)(picture_reader *reader, tims_picture *ret_picture);
    } kinds[] = { { "image/png", read_png },
                  { "image/jpeg", read_jpeg },
                  { "image/webp", read_webp },
                  { "image/gif", read_gif } };
    const char *type = tims_picture_type(bytes);
    if (type == NULL)
        return tims_fail(err, TIMS_INVALID, "unsupported_media_type",
                         "Send a PNG, JPEG, WebP or GIF picture.");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tims_picture found = { 0 };
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (!kinds[i].read(&(picture_reader){ .bytes = bytes }, &found) || found.width == 0 ||
            found.height == 0)
            break;
        *ret_picture = found;
        return TIMS_OK;
    }
    return tims_fail(err, TIMS_INVALID, "picture_broken", "The picture is not whole.");
}

tims_str tims_body_picture(tims_request *rq, tims_uploads uploads, size_t bytes_max)
{
    const tims_upload *found = NULL;
    for (size_t i = 0; i < uploads.count; i++) {
        if (uploads.items[i].filename.length == 0)
            continue;
        if (found != NULL)
            tims_raise(rq, 422, "too_many_files", "Send one picture at a time.");
        found = &uploads.items[i];
    }
    if (found == NULL)
        tims_raise(rq, 422, "file_missing", "There is no file in this form.");
    if (found->data.length > bytes_max)
        tims_raise(rq, 413, "too_large", "A picture may have at most %zu KiB.", bytes_max / 1024);
    return found->data;
}
