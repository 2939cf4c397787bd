/* json.c: a fixed small answer. */
#include <string.h>

#include "limit.h"

static size_t answer(void *state, const char *request, size_t length, connection *from, char *output)
{
    static const char fixed[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
        "{\"message\":\"Hello, World!\"}";
    (void)state, (void)request, (void)length, (void)from;
    memcpy(output, fixed, sizeof fixed - 1);
    return sizeof fixed - 1;
}

int limit_json(int port)
{
    return limit_serve(port, answer, NULL, NULL);
}
