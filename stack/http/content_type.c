/* content_type.c: what a file is, from its name. */
#include "http_internal.h"

typedef struct type_row {
    tims_str extension, type;
} type_row;

#define ROW(extension, type)                          \
    {                                                 \
        TIMS_STR_INIT(extension), TIMS_STR_INIT(type) \
    }
static const type_row rows[] = {
    ROW("html", "text/html; charset=utf-8"),
    ROW("js", "text/javascript; charset=utf-8"),
    ROW("mjs", "text/javascript; charset=utf-8"),
    ROW("css", "text/css; charset=utf-8"),
    ROW("json", "application/json"),
    ROW("map", "application/json"),
    ROW("webmanifest", "application/manifest+json"),
    ROW("txt", "text/plain; charset=utf-8"),
    ROW("md", "text/markdown; charset=utf-8"),
    ROW("csv", "text/csv; charset=utf-8"),
    ROW("xml", "application/xml"),
    ROW("svg", "image/svg+xml"),
    ROW("png", "image/png"),
    ROW("jpg", "image/jpeg"),
    ROW("jpeg", "image/jpeg"),
    ROW("gif", "image/gif"),
    ROW("webp", "image/webp"),
    ROW("avif", "image/avif"),
    ROW("ico", "image/x-icon"),
    ROW("woff2", "font/woff2"),
    ROW("woff", "font/woff"),
    ROW("ttf", "font/ttf"),
    ROW("otf", "font/otf"),
    ROW("wasm", "application/wasm"),
    ROW("pdf", "application/pdf"),
    ROW("zip", "application/zip"),
    ROW("gz", "application/gzip"),
    ROW("mp3", "audio/mpeg"),
    ROW("ogg", "audio/ogg"),
    ROW("wav", "audio/wav"),
    ROW("m4a", "audio/mp4"),
    ROW("mp4", "video/mp4"),
    ROW("webm", "video/webm"),
};

tims_str tims_content_type_of(tims_str file_name)
{
    size_t dot = file_name.length;
    while (dot > 0 && file_name.data[dot - 1] != '.' && file_name.data[dot - 1] != '/')
        dot--;
    if (dot > 0 && file_name.data[dot - 1] == '.')
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            if (tims_str_equal_ignoring_case(http__rest(file_name, dot), rows[i].extension))
                return rows[i].type;
    return TIMS_STR("application/octet-stream");
}
