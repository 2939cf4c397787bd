#include "http_internal.h"
http__files *http__files_new(void)
{
    return NULL;
}
void http__files_free(http__files **files)
{
    (void)files;
}
void http__file_send(http__exchange *exchange, const tims_answer *answer)
{
    (void)exchange;
    (void)answer;
}
void http__socket_receive(tims_socket *socket, tims_str bytes)
{
    (void)socket;
    (void)bytes;
}
void http__socket_handed_over(tims_socket *socket)
{
    (void)socket;
}
void http__socket_gone(tims_socket *socket)
{
    (void)socket;
}
void http__socket_free(tims_socket *socket)
{
    (void)socket;
}
void http__socket_expired(tims_socket *socket)
{
    (void)socket;
}
void http__socket_drained(tims_socket *socket)
{
    (void)socket;
}
void http__socket_going_away(tims_socket *socket, int code)
{
    (void)socket;
    (void)code;
}
tims_status http__tls_context_new(const tims_server_options *options, http__tls_context **ret_context,
                                  tims_error *err)
{
    (void)options;
    (void)ret_context;
    return tims_fail(err, TIMS_INTERNAL, "tls", "not yet");
}
void http__tls_context_free(http__tls_context **context)
{
    (void)context;
}
http__tls *http__tls_new(http__tls_context *context)
{
    (void)context;
    return NULL;
}
void http__tls_free(http__tls **tls)
{
    (void)tls;
}
void http__tls_receive(http__connection *connection, tims_str bytes)
{
    (void)connection;
    (void)bytes;
}
tims_status http__tls_write(http__connection *connection, const tims_str *slices, size_t count)
{
    (void)connection;
    (void)slices;
    (void)count;
    return TIMS_IO;
}
void http__tls_end(http__connection *connection)
{
    (void)connection;
}
tims_answer tims_answer_file(tims_request *rq, const char *root, tims_str path, bool immutable)
{
    (void)root;
    (void)path;
    (void)immutable;
    tims_raise(rq, 501, "later", "later");
}
bool tims_not_modified(tims_request *rq, tims_str etag)
{
    tims_set_header(rq, TIMS_STR("ETag"), etag);
    return false;
}
