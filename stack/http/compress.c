/* compress.c: brotli and gzip for answers that are worth it.
 *
 * What a client accepts comes from Accept-Encoding with its q-values; of equals brotli wins. The gzip state
 * is made once per worker and reset, since making it costs more than a small answer. */
#include "http_internal.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    COMPRESS_BYTES_MIN = 1024,
    COMPRESS_BYTES_MAX = 8 * 1024 * 1024, /* beyond, the loop would be held too long */
    GZIP_LEVEL = 4,
    GZIP_WINDOW = 15 + 16, /* 16: the gzip format */
    BROTLI_LEVEL = 4,
    BROTLI_BYTES_MAX = 512 * 1024 /* brotli takes longer; beyond, gzip */
};

struct http__compressor {
    z_stream gzip;
    bool gzip_ready;
};

/* --- choosing --------------------------------------------------------------------------------- */

/* q in thousandths: "gzip;q=0.5" has 500, without it 1000, malformed 0. */
static int read_quality(tims_str parameters)
{
    while (parameters.data) {
        tims_str value = tims_str_cut(&parameters, ';');
        tims_str name = tims_str_trim(tims_str_cut(&value, '='));
        if (!tims_str_equal_ignoring_case(name, TIMS_STR("q")))
            continue;
        value = tims_str_trim(value);
        if (value.length == 0 || value.length > 5 || (value.data[0] != '0' && value.data[0] != '1') ||
            (value.length > 1 && value.data[1] != '.'))
            return 0;
        int quality = (value.data[0] - '0') * 1000, weight = 100;
        for (size_t i = 2; i < value.length; i++, weight /= 10) {
            if (value.data[i] < '0' || value.data[i] > '9')
                return 0;
            quality += (value.data[i] - '0') * weight;
        }
        return quality > 1000 ? 1000 : quality;
    }
    return 1000;
}

tims_str http__encoding_name(tims_encoding encoding)
{
    static const tims_str names[] = { TIMS_STR_INIT("identity"), TIMS_STR_INIT("gzip"), TIMS_STR_INIT("br") };
    return names[encoding];
}

tims_encoding http__encoding_choose(tims_str accept_encoding, uint32_t available)
{
    int qualities[3] = { -1, -1, -1 }, others = -1; /* -1: not named */
    tims_str rest = accept_encoding;
    while (rest.data) {
        tims_str parameters = tims_str_cut(&rest, ',');
        tims_str name = tims_str_trim(tims_str_cut(&parameters, ';'));
        int quality = read_quality(parameters);
        if (tims_str_equal(name, TIMS_STR("*")))
            others = quality;
        for (int i = TIMS_IDENTITY; i <= TIMS_BROTLI; i++)
            if (tims_str_equal_ignoring_case(name, http__encoding_name((tims_encoding)i)))
                qualities[i] = quality;
    }
    tims_encoding best = TIMS_IDENTITY;
    int best_quality =
        qualities[TIMS_IDENTITY] > 0 ? qualities[TIMS_IDENTITY] - 1 : 0; /* an encoding wins a tie */
    for (int i = TIMS_GZIP; i <= TIMS_BROTLI; i++) {
        int quality = qualities[i] >= 0 ? qualities[i] : others;
        if ((available & (1u << i)) && quality > 0 && quality >= best_quality) {
            best = (tims_encoding)i;
            best_quality = quality;
        }
    }
    return best;
}

bool http__is_compressible(tims_str content_type)
{
    static const tims_str types[] = {
        TIMS_STR_INIT("application/json"),          TIMS_STR_INIT("application/problem+json"),
        TIMS_STR_INIT("application/javascript"),    TIMS_STR_INIT("application/xml"),
        TIMS_STR_INIT("application/manifest+json"), TIMS_STR_INIT("image/svg+xml"),
        TIMS_STR_INIT("application/wasm"),
    };
    tims_str rest = content_type;
    tims_str type = tims_str_trim(tims_str_cut(&rest, ';'));
    if (tims_str_starts_with(type, TIMS_STR("text/")))
        return !tims_str_equal(type, TIMS_STR("text/event-stream"));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (tims_str_equal_ignoring_case(type, types[i]))
            return true;
    return false;
}

/* --- compressing ------------------------------------------------------------------------------ */

http__compressor *http__compressor_new(void)
{
    http__compressor *compressor = calloc(1, sizeof(*compressor));
    TIMS_ASSERT(compressor != NULL);
    return compressor;
}

void http__compressor_free(http__compressor **compressor)
{
    if (!*compressor)
        return;
    if ((*compressor)->gzip_ready)
        deflateEnd(&(*compressor)->gzip);
    free(*compressor);
    *compressor = NULL;
}

static bool run_gzip(http__compressor *compressor, tims_str bytes, tims_buf *out)
{
    z_stream *gzip = &compressor->gzip;
    if (!compressor->gzip_ready) {
        if (deflateInit2(gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            return false;
        compressor->gzip_ready = true;
    } else if (deflateReset(gzip) != Z_OK) {
        return false;
    }
    if (!tims_buf_reserve(out, bytes.length))
        return false;
    gzip->next_in = (Bytef *)(uintptr_t)bytes.data;
    gzip->avail_in = (uInt)bytes.length;
    gzip->next_out = (Bytef *)out->data;
    gzip->avail_out = (uInt)bytes.length;
    if (deflate(gzip, Z_FINISH) != Z_STREAM_END)
        return false;
    out->length = bytes.length - gzip->avail_out;
    return true;
}

static bool run_brotli(tims_str bytes, tims_buf *out)
{
    size_t length = bytes.length;
    if (!tims_buf_reserve(out, length) ||
        !BrotliEncoderCompress(BROTLI_LEVEL, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, bytes.length,
                               (const uint8_t *)bytes.data, &length, (uint8_t *)out->data))
        return false;
    out->length = length;
    return true;
}

bool http__compress(http__compressor *compressor, tims_encoding encoding, tims_str bytes, tims_buf *out)
{
    out->length = 0;
    bool done = encoding == TIMS_BROTLI ? run_brotli(bytes, out) : run_gzip(compressor, bytes, out);
    return done && out->length < bytes.length;
}

/* The same content under another encoding is another sequence of bytes: a strong ETag becomes a weak one. */
static void weaken_etag(tims_request *rq)
{
    tims_str etag = http__out_header(rq, TIMS_STR("ETag"));
    if (etag.data && !tims_str_starts_with(etag, TIMS_STR("W/")))
        tims_set_header(rq, TIMS_STR("ETag"), tims_print(rq->arena, "W/%S", etag));
}

static void say_encoding(tims_request *rq, tims_encoding encoding)
{
    if (encoding == TIMS_IDENTITY)
        return;
    tims_set_header(rq, TIMS_STR("Content-Encoding"), http__encoding_name(encoding));
    weaken_etag(rq);
}

static tims_encoding encoding_for(http__exchange *exchange, const tims_answer *answer)
{
    tims_request *rq = &exchange->rq;
    if (exchange->is_encoded || answer->body.length < COMPRESS_BYTES_MIN ||
        answer->body.length > COMPRESS_BYTES_MAX || answer->status == 206 ||
        !http__is_compressible(answer->content_type) ||
        http__out_header(rq, TIMS_STR("Content-Encoding")).data ||
        tims_header_has_token(http__out_header(rq, TIMS_STR("Cache-Control")), TIMS_STR("no-transform")))
        return TIMS_IDENTITY;
    http__add_vary(rq, TIMS_STR("Accept-Encoding"));
    uint32_t available = 1u << TIMS_GZIP;
    if (answer->body.length <= BROTLI_BYTES_MAX)
        available |= 1u << TIMS_BROTLI;
    return http__encoding_choose(tims_header_of(rq, TIMS_STR("Accept-Encoding")), available);
}

void http__answer_compress(http__exchange *exchange, tims_answer *answer)
{
    tims_encoding encoding = encoding_for(exchange, answer);
    tims_buf *out = &exchange->worker->scratch;
    if (encoding == TIMS_IDENTITY ||
        !http__compress(exchange->worker->compressor, encoding, answer->body, out))
        return;
    answer->body = tims_copy(exchange->rq.arena, tims_buf_str(out));
    say_encoding(&exchange->rq, encoding);
}

/* --- for rooms that keep what is compressed --------------------------------------------------- */

tims_encoding tims_encoding_for(tims_request *rq, const tims_answer *answer)
{
    http__exchange *exchange = rq->exchange;
    bool compresses = exchange != NULL && exchange->worker->server->options.compress;
    return compresses ? encoding_for(exchange, answer) : TIMS_IDENTITY;
}

bool tims_encode(tims_encoding encoding, tims_str bytes, tims_buf *out)
{
    http__compressor *compressor = http__compressor_new();
    bool done = http__compress(compressor, encoding, bytes, out);
    http__compressor_free(&compressor);
    return done;
}

tims_answer tims_answer_encoded(tims_request *rq, const tims_answer *answer, tims_encoding encoding,
                                tims_str body)
{
    if (rq->exchange != NULL)
        rq->exchange->is_encoded = true;
    say_encoding(rq, encoding);
    tims_answer encoded = *answer;
    encoded.body = body;
    return encoded;
}
