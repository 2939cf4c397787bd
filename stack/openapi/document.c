/* document.c: the whole document, in the order in which people read it: what it is, paths, components. */
#include <stdio.h>

#include "openapi/openapi_internal.h"

void openapi__fail(openapi__document *d, const char *format, ...)
{
    char message[300];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (d->err->status == TIMS_OK)
        (void)tims_fail(d->err, TIMS_INVALID, "openapi", "%s", message);
}

static void write_info(openapi__document *d)
{
    const tims_openapi_options *options = d->options;
    openapi__text(d, "openapi", "3.1.0");
    openapi__open(d, "info");
    openapi__text(d, "title", options->title);
    openapi__text(d, "version", options->version);
    if (options->doc != NULL)
        openapi__text(d, "description", options->doc);
    if (options->license != NULL) {
        openapi__open(d, "license");
        openapi__text(d, "name", options->license);
        openapi__text(d, "identifier", options->license);
        openapi__close(d);
    }
    openapi__close(d);
    openapi__open_list(d, "servers");
    tims_json_begin_object(d->w);
    openapi__text(d, "url", "/");
    openapi__text(d, "description", "Where this document comes from.");
    openapi__close(d);
    tims_json_end_array(d->w);
}

static void write_tags(openapi__document *d)
{
    openapi__open_list(d, "tags");
    for (size_t i = 0; i < d->options->part_count; i++) {
        tims_json_begin_object(d->w);
        openapi__text(d, "name", d->options->parts[i].name);
        if (d->options->parts[i].doc != NULL)
            openapi__text(d, "description", d->options->parts[i].doc);
        openapi__close(d);
    }
    tims_json_end_array(d->w);
}

static void write_scheme(openapi__document *d, const char *name, const char *in, tims_str key,
                         const char *doc)
{
    openapi__open(d, name);
    openapi__text(d, "type", "apiKey");
    openapi__text(d, "in", in);
    openapi__key(d, "name");
    tims_json_str(d->w, key);
    openapi__text(d, "description", doc);
    openapi__close(d);
}

static void write_security_schemes(openapi__document *d)
{
    openapi__open(d, "securitySchemes");
    write_scheme(d, "session", "cookie", d->options->session_cookie,
                 "A browser's session: signing in sets the cookie.");
    write_scheme(
        d, "csrf", "header", TIMS_STR("X-CSRF-Token"),
        "With a session, for all that changes something: the value of the cookie `csrf`, or `csrf` of "
        "GET /api/auth/me/.");
    openapi__open(d, "bearer");
    openapi__text(d, "type", "http");
    openapi__text(d, "scheme", "bearer");
    openapi__text(d, "description",
                  "A device's token, which POST /api/auth/token/ gives; it needs no CSRF token.");
    openapi__close(d);
    openapi__close(d);
}

static void write_document(openapi__document *d)
{
    tims_json_begin_object(d->w);
    write_info(d);
    write_tags(d);
    openapi__write_paths(d);
    openapi__open(d, "components");
    openapi__write_schemas(d);
    openapi__write_response_components(d);
    openapi__write_parameter_components(d);
    openapi__write_header_components(d);
    write_security_schemes(d);
    openapi__close(d);
    tims_json_end_object(d->w);
}

tims_status tims_openapi_write(tims_arena *arena, const tims_openapi_options *options, tims_str *ret_json,
                               tims_error *err)
{
    tims_buf out;
    tims_error first = { 0 };
    tims_buf_init(&out, arena, TIMS_OPENAPI_BYTES_MAX);
    tims_json_writer writer = tims_json_to(&out);
    openapi__document d = {
        .arena = arena,
        .options = options,
        .w = &writer,
        .operations = TIMS_NEW_ARRAY(arena, openapi__operation, OPENAPI__OPERATIONS_MAX),
        .components = TIMS_NEW_ARRAY(arena, openapi__component, OPENAPI__COMPONENTS_MAX),
        .err = &first,
    };
    openapi__collect(&d);
    write_document(&d);
    if (first.status != TIMS_OK) {
        if (err != NULL)
            *err = first;
        return first.status;
    }
    if (out.overflow)
        return tims_fail(err, TIMS_TOO_LARGE, "openapi", "The API document has more than %d bytes.",
                         TIMS_OPENAPI_BYTES_MAX);
    *ret_json = tims_buf_str(&out);
    return TIMS_OK;
}
