/* error.c: the status table's faces, and filling an error where it is first seen. */
#include <stdio.h>

#include "tims/base.h"
#undef tims_fail /* base.h wraps it for the analyser */

static const struct {
    const char *name, *text;
    int http;
} statuses[] = {
#define X(name_, code_, http_, text_) { .name = code_, .text = text_, .http = http_ },
    TIMS_STATUS_TABLE(X)
#undef X
};

const char *tims_status_name(tims_status status)
{
    TIMS_ASSERT(status < TIMS_STATUS_COUNT);
    return statuses[status].name;
}

int tims_status_http(tims_status status)
{
    TIMS_ASSERT(status < TIMS_STATUS_COUNT);
    return statuses[status].http;
}

const char *tims_status_text(tims_status status)
{
    TIMS_ASSERT(status < TIMS_STATUS_COUNT);
    return statuses[status].text;
}

tims_status tims_fail(tims_error *err, tims_status status, const char *code, const char *format, ...)
{
    if (err == NULL)
        return status;
    *err = (tims_error){ .status = status, .code = code != NULL ? code : tims_status_name(status) };
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return status;
}

void tims_error_detail(tims_error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->detail, sizeof err->detail, format, arguments);
    va_end(arguments);
}
