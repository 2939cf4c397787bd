/* redis_testing.h: a Redis server of a test's own, on a free port, started, killed, held and stopped. For
 * tests only. */
#ifndef TIMS_REDIS_TESTING_H
#define TIMS_REDIS_TESTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing.h"

enum { REDIS_STARTS_MS = 10000, REDIS_ARGUMENTS_MAX = 48 };

typedef struct redis_server {
    pid_t pid; /* 0: it does not run */
    uint16_t port;
    char url[64];
} redis_server;

/* Bound for a moment to learn of one; the server binds it again at once. */
TIMS_UNUSED static uint16_t free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

TIMS_UNUSED static int redis_connect(const redis_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(server->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

TIMS_UNUSED static bool redis_accepts(const redis_server *server)
{
    int fd = redis_connect(server);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* Asks, with words between spaces, until the answer contains the text. */
TIMS_UNUSED static void redis_wait_for(const redis_server *server, const char *command, const char *text)
{
    char line[256], answer[1024] = "";
    int fd = redis_connect(server), length = snprintf(line, sizeof line, "%s\r\n", command);
    assert_true(fd >= 0);
    for (int left_ms = REDIS_STARTS_MS; strstr(answer, text) == NULL; left_ms--) {
        if (left_ms == 0)
            fail_msg("%s: got %s, expected %s", command, answer, text);
        assert_int_equal(write(fd, line, (size_t)length), length);
        ssize_t got = read(fd, answer, sizeof answer - 1);
        assert_true(got > 0);
        answer[got] = '\0';
        (void)poll(NULL, 0, 1);
    }
    (void)close(fd);
}

TIMS_UNUSED static void redis_exec(const redis_server *server, const char *const *extra)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%d", (int)server->port);
    const char *arguments[REDIS_ARGUMENTS_MAX] = { "redis-server", "--port",      port,   "--bind",
                                                   "127.0.0.1",    "--save",      "",     "--appendonly",
                                                   "no",           "--dir",       "/tmp", "--logfile",
                                                   "/dev/null",    "--daemonize", "no" };
    size_t count = 0;
    while (arguments[count] != NULL)
        count++;
    while (extra != NULL && *extra != NULL && count + 1 < REDIS_ARGUMENTS_MAX)
        arguments[count++] = *extra++;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves none behind */
    (void)execvp(arguments[0], (char *const *)(void *)arguments);
    _exit(127);
}

/* On the port it had before, when it had one. `extra`: further arguments, NULL-terminated; may be NULL. */
TIMS_UNUSED static void redis_start(redis_server *server, const char *const *extra)
{
    int state, left_ms = REDIS_STARTS_MS;
    assert_int_equal(server->pid, 0);
    if (server->port == 0)
        server->port = free_port();
    (void)snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", (int)server->port);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        redis_exec(server, extra);
    for (; !redis_accepts(server) && left_ms > 0; left_ms -= 5) {
        if (waitpid(server->pid, &state, WNOHANG) == server->pid)
            fail_msg("redis-server does not start: apt-get install redis-server");
        (void)poll(NULL, 0, 5);
    }
    assert_true(left_ms > 0);
}

TIMS_UNUSED static void redis_kill(redis_server *server)
{
    int state;
    if (server->pid == 0)
        return;
    assert_int_equal(kill(server->pid, SIGKILL), 0);
    assert_int_equal(waitpid(server->pid, &state, 0), server->pid);
    server->pid = 0;
}

/* It is there, takes connections, and does not answer. */
TIMS_UNUSED static void redis_hold(const redis_server *server, bool held)
{
    assert_int_equal(kill(server->pid, held ? SIGSTOP : SIGCONT), 0);
}

#endif
