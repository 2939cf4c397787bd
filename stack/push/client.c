/* client.c: HTTP/2 to the push services: libcurl on the loop.
 *
 *   fiber ──► transfer in the loop's multi ──► curl says which sockets and timers it waits for ──► the loop's
 *   polls and timer tell it ──► the transfer is done: its fiber is woken
 *
 * All transfers to one host share one connection, as streams; what is more than the service takes at once
 * waits in curl's queue. The connection is kept: services ask for that. curl repeats by itself what the
 * service has surely not worked on (a kept connection that was closed, a stream behind a GOAWAY); everything
 * else fails here, and the task's policy tries it again.
 *
 * APNs takes one stream on a new connection until it has seen a token that holds, and says so only after the
 * first streams may have been sent; what it refuses then costs a connection each. So where nothing has been
 * answered for a while one transfer goes ahead, and the others wait at a gate for its answer.
 *
 * Everything of curl runs on the loop's own stack, except that a fiber adds and removes its transfer; so what
 * its callbacks write to is not in an arena. */
#include "push/push_internal.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    CLIENT_MAGIC = 0x43535550,
    CONNECT_TIMEOUT_MS = 5000,
    EXCHANGE_TIMEOUT_MS = 15000,
    ANSWER_BYTES_MAX = 64 * 1024,
    IDLE_S_MAX = 1800, /* a connection that was not used for so long is not used again */
    KEEPALIVE_S = 60,
    WARM_US = 5000000,
    UNSEEN_MS_MAX = 10000 /* what the other side's machine has not acknowledged by then: it is gone */
};

typedef struct watched {
    struct watched *next, *previous;
    push__client *client;
    curl_socket_t fd;
    tims_poll *poll;
} watched;

struct push__client {
    uint32_t magic;
    tims_loop *loop;
    const char *ca;
    CURLM *multi;
    tims_timer timer;
    watched *first;
    bool distrusts; /* something on the connection was not answered: the next one gets another */
};

typedef struct transfer {
    push__client *client;
    tims_fiber *fiber; /* whom to wake; NULL: nobody any more */
    CURL *easy;
    struct curl_slist *headers;
    tims_buf answer;    /* of malloc */
    push__gate *probes; /* for the others that wait there; NULL: it does not */
    bool is_done;
    CURLcode code;
    char problem[CURL_ERROR_SIZE];
} transfer;

/* --- curl and the loop -------------------------------------------------------------------------- */

static void collect_ended(push__client *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
        transfer *ended = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&ended);
        ended->is_done = true;
        ended->code = message->data.result;
        if (ended->fiber != NULL)
            tims_fiber_wake(ended->fiber);
    }
}

static void act(push__client *client, curl_socket_t fd, int events)
{
    int running;
    TIMS_CHECK_MAGIC(client, CLIENT_MAGIC);
    (void)curl_multi_socket_action(client->multi, fd, events, &running);
    collect_ended(client);
}

static void notice_socket(void *argument, int events)
{
    const watched *socket = argument;
    int seen = ((events & TIMS_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & TIMS_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    act(socket->client, socket->fd, seen);
}

static void notice_time(void *argument)
{
    act(argument, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *argument)
{
    push__client *client = argument;
    (void)multi;
    if (timeout_ms < 0)
        tims_timer_clear(&client->timer);
    else
        tims_timer_set(client->loop, &client->timer, timeout_ms, notice_time, client);
    return 0;
}

static void forget_socket(watched *socket)
{
    push__client *client = socket->client;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        client->first = socket->next;
    tims_poll_free(&socket->poll);
    free(socket);
}

static watched *watch_socket(push__client *client, curl_socket_t fd)
{
    watched *socket = calloc(1, sizeof *socket);
    TIMS_ASSERT(socket != NULL);
    *socket = (watched){ .next = client->first, .client = client, .fd = fd };
    if (tims_poll_new(client->loop, fd, notice_socket, socket, &socket->poll) != TIMS_OK) {
        free(socket);
        return NULL;
    }
    if (client->first != NULL)
        client->first->previous = socket;
    client->first = socket;
    (void)curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *argument, void *known)
{
    watched *socket = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            forget_socket(socket);
        return 0;
    }
    if (socket == NULL)
        socket = watch_socket(argument, fd);
    if (socket == NULL)
        return -1;
    tims_poll_set(socket->poll, ((what & CURL_POLL_IN) != 0 ? TIMS_READABLE : 0) |
                                    ((what & CURL_POLL_OUT) != 0 ? TIMS_WRITABLE : 0));
    return 0;
}

static void end_curl(void *argument)
{
    (void)argument;
    curl_global_cleanup();
}

void push__client_setup(tims_arena *arena)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    TIMS_ASSERT(code == CURLE_OK);
    tims_arena_defer(arena, end_curl, NULL);
}

push__client *push__client_new(tims_loop *loop, const char *ca)
{
    push__client *client = calloc(1, sizeof *client);
    TIMS_ASSERT(client != NULL);
    *client = (push__client){ .magic = CLIENT_MAGIC, .loop = loop, .ca = ca, .multi = curl_multi_init() };
    TIMS_ASSERT(client->multi != NULL);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
    return client;
}

void push__client_free(push__client **pointer)
{
    push__client *client = *pointer;
    *pointer = NULL;
    TIMS_CHECK_MAGIC(client, CLIENT_MAGIC);
    (void)curl_multi_cleanup(client->multi); /* tells which sockets it closes */
    for (watched *socket = client->first, *next; socket != NULL; socket = next) {
        next = socket->next;
        tims_poll_free(&socket->poll);
        free(socket);
    }
    tims_timer_clear(&client->timer);
    client->magic = 0;
    free(client);
}

/* --- the gate ----------------------------------------------------------------------------------- */

/* Stands on the waiting fiber's stack. */
typedef struct push__waiting {
    struct push__waiting *next;
    tims_fiber *fiber;
    bool is_told, is_answered;
} push__waiting;

static bool is_warm(const push__gate *gate)
{
    return gate->answered_us != 0 && tims_monotonic_us() - gate->answered_us < WARM_US;
}

static void open_gate(push__gate *gate, bool is_answered)
{
    gate->is_probed = false;
    for (push__waiting *one = gate->first; one != NULL; one = one->next) {
        one->is_told = true;
        one->is_answered = is_answered;
        tims_fiber_wake(one->fiber);
    }
    gate->first = NULL;
}

static void leave_gate(push__gate *gate, const push__waiting *own)
{
    for (push__waiting **at = &gate->first; *at != NULL; at = &(*at)->next)
        if (*at == own) {
            *at = own->next;
            return;
        }
}

/* One goes first where it is not known that the service answers; then all do, or none. */
static tims_status enter_gate(transfer *own, push__gate *gate)
{
    tims_status status = TIMS_OK;
    while (gate != NULL && status == TIMS_OK && !is_warm(gate)) {
        if (!gate->is_probed) {
            gate->is_probed = true;
            own->probes = gate;
            return TIMS_OK;
        }
        push__waiting waiting = { .next = gate->first, .fiber = own->fiber };
        gate->first = &waiting;
        while (!waiting.is_told && status == TIMS_OK)
            status = tims_fiber_suspend();
        leave_gate(gate, &waiting);
        if (status == TIMS_OK && !waiting.is_answered)
            status = TIMS_UNAVAILABLE;
    }
    return status;
}

/* --- one transfer ------------------------------------------------------------------------------- */

static size_t take_answer(char *bytes, size_t size, size_t count, void *argument)
{
    transfer *own = argument;
    tims_buf_append(&own->answer, bytes, size * count);
    return own->answer.overflow ? 0 : size * count;
}

/* Fine when it has been done. */
static void release(void *argument)
{
    transfer **pointer = argument, *own = *pointer;
    *pointer = NULL;
    if (own == NULL)
        return;
    if (own->probes != NULL)
        open_gate(own->probes, false);
    if (own->easy != NULL) {
        (void)curl_multi_remove_handle(own->client->multi, own->easy);
        curl_easy_cleanup(own->easy);
    }
    curl_slist_free_all(own->headers);
    tims_buf_free(&own->answer);
    free(own);
}

static void add_header(transfer *own, const char *line)
{
    struct curl_slist *longer = curl_slist_append(own->headers, line);
    TIMS_ASSERT(longer != NULL);
    own->headers = longer;
}

static void set(CURLcode code)
{
    TIMS_ASSERT(code == CURLE_OK); /* an option that this curl does not know, or no memory */
}

/* Else a connection that a router has forgotten would be written to for a quarter of an hour. */
static int set_socket_options(void *argument, curl_socket_t fd, curlsocktype purpose)
{
    (void)argument, (void)purpose;
    const unsigned unseen_ms_max = UNSEEN_MS_MAX;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unseen_ms_max, sizeof unseen_ms_max);
    return CURL_SOCKOPT_OK;
}

/* The system's authorities from their folder, which is looked into for the one that is needed: to read the
 * whole bundle would hold the loop for tens of milliseconds. Named ones are believed instead, not besides. */
static void trust(CURL *easy, const char *ca)
{
    const char *folder = curl_version_info(CURLVERSION_NOW)->capath;
    if (ca == NULL && folder == NULL)
        return; /* this curl has only the bundle */
    set(curl_easy_setopt(easy, CURLOPT_CAINFO, ca));
    set(curl_easy_setopt(easy, CURLOPT_CAPATH, ca == NULL ? folder : NULL));
}

static void set_up(transfer *own, const char *url, tims_str body)
{
    CURL *easy = own->easy;
    set(curl_easy_setopt(easy, CURLOPT_URL, url));
    set(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https"));
    set(curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS));
    set(curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L));
    set(curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
    trust(easy, own->client->ca);
    set(curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.length));
    set(curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body.data));
    set(curl_easy_setopt(easy, CURLOPT_HTTPHEADER, own->headers));
    set(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer));
    set(curl_easy_setopt(easy, CURLOPT_WRITEDATA, own));
    set(curl_easy_setopt(easy, CURLOPT_PRIVATE, own));
    set(curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, own->problem));
    set(curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L));
    set(curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS));
    set(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)EXCHANGE_TIMEOUT_MS));
    set(curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S_MAX));
    set(curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L));
    set(curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S));
    set(curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S));
    set(curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket_options));
    set(curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)own->client->distrusts));
    own->client->distrusts = false;
}

/* Released with the request, if not before. */
static transfer **open_transfer(tims_request *rq, push__client *client, const push__call *call)
{
    const char *url = tims_copy_c(rq->arena, call->url);
    const char **lines = TIMS_NEW_ARRAY(rq->arena, const char *, call->header_count + 1);
    for (size_t i = 0; i < call->header_count; i++)
        lines[i] = tims_print(rq->arena, "%S: %S", call->headers[i].name, call->headers[i].value).data;
    transfer **pointer = TIMS_NEW(rq->arena, transfer *);
    tims_defer(rq, release, pointer);
    transfer *own = calloc(1, sizeof *own);
    TIMS_ASSERT(own != NULL);
    *pointer = own;
    *own = (transfer){ .client = client, .fiber = tims_fiber_self(), .easy = curl_easy_init() };
    TIMS_ASSERT(own->easy != NULL);
    tims_buf_init(&own->answer, NULL, ANSWER_BYTES_MAX);
    add_header(own, "Expect:"); /* none: a body this small is not asked for */
    for (size_t i = 0; i < call->header_count; i++)
        add_header(own, lines[i]);
    set_up(own, url, call->body);
    return pointer;
}

static tims_status weigh(tims_request *rq, const transfer *own, push__reply *ret_reply, tims_error *err)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    own->client->distrusts |= own->code == CURLE_OPERATION_TIMEDOUT;
    if (own->code != CURLE_OK)
        return tims_fail(err, own->code == CURLE_OPERATION_TIMEDOUT ? TIMS_TIMEOUT : TIMS_UNAVAILABLE,
                         "push_unreachable", "The service cannot be asked: %s",
                         own->problem[0] != '\0' ? own->problem : curl_easy_strerror(own->code));
    (void)curl_easy_getinfo(own->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(own->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    *ret_reply = (push__reply){ .status = (int)status,
                                .body = tims_copy(rq->arena, tims_buf_str(&own->answer)),
                                .retry_after_s = retry_after_s };
    return TIMS_OK;
}

tims_status push__post(tims_request *rq, push__client *client, const push__call *call, push__reply *ret_reply,
                       tims_error *err)
{
    TIMS_CHECK_MAGIC(client, CLIENT_MAGIC);
    transfer **pointer = open_transfer(rq, client, call), *own = *pointer;
    tims_status status = enter_gate(own, call->gate);
    CURLMcode added = status == TIMS_OK ? curl_multi_add_handle(client->multi, own->easy) : CURLM_OK;
    TIMS_ASSERT(added == CURLM_OK);
    while (!own->is_done && status == TIMS_OK)
        status = tims_fiber_suspend();
    if (own->is_done)
        status = weigh(rq, own, ret_reply, err);
    else
        (void)tims_fail(err, status, "push_unreachable", "The service has not answered in time.");
    if (call->gate != NULL)
        call->gate->answered_us = status == TIMS_OK ? tims_monotonic_us() : 0;
    if (own->probes != NULL)
        open_gate(own->probes, status == TIMS_OK);
    own->probes = NULL;
    release(pointer);
    return status;
}
