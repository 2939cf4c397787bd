/* limit.h: the machine's own limit: what a request costs when a program does only the system calls and the
 * SQL that the work cannot avoid. No parsing beyond what finds the end of a request, no routing, no log, no
 * bounds: not a server. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <stddef.h>

enum { INPUT_BYTES = 8192, OUTPUT_BYTES = 65536 };

typedef struct connection {
    int fd;
    /* Another socket that is watched: called when there is something to read. NULL: a client's. */
    void (*on_input)(struct connection *self);
    size_t pending; /* answers that come later */
    bool closed;    /* by the client, while answers were pending */
    size_t input_length;
    char input[INPUT_BYTES];
} connection;

/* Writes the answer to one request and returns its length; 0: it comes later, by limit_finish. */
typedef size_t (*answer_fn)(void *state, const char *request, size_t length, connection *from, char *output);
/* After all that one epoll_wait has brought. */
typedef void (*finish_fn)(void *state);

/* Listens on 127.0.0.1:port and serves until SIGTERM. */
int limit_serve(int port, answer_fn answer, finish_fn finish, void *state);
/* Adds a socket that is no client's to what is waited for. */
void limit_watch(connection *socket);
/* Sends an answer that was put off. */
void limit_finish(connection *to, const char *data, size_t length);
/* The head of an answer with JSON. */
size_t limit_head(char *output, const char *status, size_t body_length);

int limit_json(int port);
int limit_fanout(int port);
int limit_sqlite(int port, const char *workload, const char *database);
int limit_postgres(int port, const char *workload, const char *url);

#endif
