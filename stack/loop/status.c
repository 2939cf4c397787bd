/* status.c: libuv's error numbers in the words of this house. */
#include "loop/loop_internal.h"

tims_status loop__status_from_uv(int uv_error)
{
    switch (uv_error) {
    case 0:
        return TIMS_OK;
    case UV_EADDRINUSE:
        return TIMS_BUSY;
    case UV_EACCES:
    case UV_EPERM:
        return TIMS_FORBIDDEN;
    case UV_ENOENT:
    case UV_ECONNREFUSED:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_EADDRNOTAVAIL:
    case UV_EAI_NONAME:
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_NODATA:
        return TIMS_UNAVAILABLE;
    case UV_ETIMEDOUT:
        return TIMS_TIMEOUT;
    case UV_ECANCELED:
        return TIMS_CANCELLED;
    case UV_EOF:
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ENOTCONN:
        return TIMS_CLOSED;
    default:
        return TIMS_IO;
    }
}

tims_status loop__fail_uv(tims_error *err, int uv_error, const char *doing, const char *what)
{
    tims_status status = loop__status_from_uv(uv_error);
    status =
        tims_fail(err, status, tims_status_name(status), "Cannot %s: %s.", doing, tims_status_text(status));
    tims_error_detail(err, "%s %s: %s", doing, what, uv_strerror(uv_error));
    return status;
}
