/* restart.c: SIGHUP replaces the program by itself (or by what stands in its place on disk by now) without
 * closing the door: the listening sockets survive the exec, and clients that come meanwhile wait in the
 * kernel's queue.
 *
 * The sockets' numbers travel in TIMS_LISTEN_FDS. At the first start there may be sockets of systemd's, which
 * says so by its own protocol: LISTEN_FDS of them from number 3 on, for the process LISTEN_PID. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACTIVATED_FD = 3, FDS_MAX = 256, COMMAND_LINE_MAX = 256 * 1024, ARGUMENTS_MAX = 4096 };
static const char variable[] = "TIMS_LISTEN_FDS";
static const char activated[] = "TIMS_LISTEN_ACTIVATED"; /* set: systemd says where, also after a restart */

static bool is_listening_on(int fd, uint16_t port)
{
    int listening = 0;
    socklen_t size = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening)
        return false;
    struct sockaddr_storage address = { 0 };
    size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6)
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): getsockname has filled it */
    uint16_t own = address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                 : ((struct sockaddr_in *)&address)->sin_port;
    return port == 0 || ntohs(own) == port;
}

/* systemd's sockets. Its unit says where they listen, so HOST and PORT are not asked. Where there are more
 * loops than sockets, loops share one. */
static tims_status take_activated(const tims_server_options *options, int *fds, int *ret_count,
                                  tims_error *err)
{
    const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
    int64_t count = 0, owner = 0;
    if (pid == NULL || number == NULL || !tims_str_to_int(tims_str_from(pid), 1, INT32_MAX, &owner) ||
        owner != getpid())
        return TIMS_OK;
    if (!tims_str_to_int(tims_str_from(number), 1, FDS_MAX, &count))
        return tims_fail(err, TIMS_INVALID, "activated_fds", "LISTEN_FDS is not a number of sockets.");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    setenv(activated, "yes", 1);
    int total = 0;
    for (; total < count; total++) {
        int fd = ACTIVATED_FD + total;
        if (!is_listening_on(fd, 0))
            return tims_fail(err, TIMS_INVALID, "activated_fds",
                             "Descriptor %d of LISTEN_FDS is no socket that listens.", fd);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fds[total] = fd;
    }
    for (; total < options->loops && total < FDS_MAX; total++) {
        fds[total] = fcntl(fds[total % count], F_DUPFD_CLOEXEC, ACTIVATED_FD);
        if (fds[total] < 0)
            return tims_fail(err, TIMS_IO, "dup", "A socket cannot be shared: %s.", strerror(errno));
    }
    *ret_count = total;
    return TIMS_OK;
}

tims_status http__restart_inherited(const tims_server_options *options, int **ret_fds, int *ret_count,
                                    tims_error *err)
{
    const char *text = getenv(variable);
    *ret_count = 0;
    int *fds = calloc(FDS_MAX, sizeof(*fds));
    TIMS_ASSERT(fds != NULL);
    *ret_fds = fds;
    if (!text)
        return take_activated(options, fds, ret_count, err);
    int count = 0;
    tims_str rest = tims_str_from(text);
    do {
        int64_t fd = 0;
        tims_str item = tims_str_cut(&rest, ',');
        if (count == FDS_MAX || !tims_str_to_int(item, ACTIVATED_FD, INT32_MAX, &fd))
            return tims_fail(err, TIMS_INVALID, "inherited_fds", "%s cannot be read.", variable);
        if (is_listening_on((int)fd, getenv(activated) != NULL ? 0 : options->port)) {
            fcntl((int)fd, F_SETFD, FD_CLOEXEC);
            fds[count++] = (int)fd;
        } else {
            close((int)fd);
        }
    } while (rest.data);
    unsetenv(variable);
    *ret_count = count;
    return TIMS_OK;
}

static void forget_kept(tims_server *server)
{
    for (int i = 0; i < server->kept_count; i++)
        close(server->kept_fds[i]);
    free(server->kept_fds);
    server->kept_fds = NULL;
    server->kept_count = 0;
}

tims_status http__restart_keep(tims_server *server, tims_error *err)
{
    int total = 0;
    for (int i = 0; i < server->worker_count; i++)
        total += server->workers[i].listener_count;
    server->kept_fds = calloc((size_t)total + 1, sizeof(int));
    TIMS_ASSERT(server->kept_fds != NULL);
    for (int i = 0; i < server->worker_count; i++) {
        http__worker *worker = &server->workers[i];
        for (int j = 0; j < worker->listener_count; j++) {
            int fd = fcntl(tims_listener_fd(worker->listeners[j]), F_DUPFD, 3); /* survives exec */
            if (fd < 0) {
                (void)!tims_fail(err, TIMS_IO, "dup", "A socket cannot be kept: %s.", strerror(errno));
                forget_kept(server);
                return TIMS_IO;
            }
            server->kept_fds[server->kept_count++] = fd;
        }
    }
    return TIMS_OK;
}

/* The arguments this process was started with, from the kernel. */
static char **read_arguments(char *buffer, size_t size)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    if (length <= 0)
        return NULL;
    buffer[length] = 0;
    char **arguments = calloc(ARGUMENTS_MAX + 1, sizeof(*arguments));
    TIMS_ASSERT(arguments != NULL);
    size_t count = 0;
    for (char *at = buffer; at < buffer + length && count < ARGUMENTS_MAX; at += strlen(at) + 1)
        arguments[count++] = at;
    return arguments;
}

/* The program's path as it was started: a newer file in its place is what shall run. */
static void find_program(char *ret_path, size_t size)
{
    static const char deleted[] = " (deleted)";
    ssize_t length = readlink("/proc/self/exe", ret_path, size - 1);
    ret_path[length > 0 ? length : 0] = 0;
    size_t suffix = sizeof(deleted) - 1;
    if (length > (ssize_t)suffix && strcmp(ret_path + length - (ssize_t)suffix, deleted) == 0)
        ret_path[length - (ssize_t)suffix] = 0;
}

tims_status http__restart_exec(tims_server *server, tims_error *err)
{
    tims_buf list;
    tims_buf_init(&list, NULL, 4096);
    for (int i = 0; i < server->kept_count; i++)
        tims_buf_print(&list, "%s%d", i > 0 ? "," : "", server->kept_fds[i]);
    tims_buf_append_char(&list, 0);
    setenv(variable, list.data, 1);
    tims_buf_free(&list);
    if (server->options.before_restart)
        server->options.before_restart(server->options.data);
    char program[4096];
    find_program(program, sizeof(program));
    char *buffer = malloc(COMMAND_LINE_MAX);
    TIMS_ASSERT(buffer != NULL);
    char **arguments = read_arguments(buffer, COMMAND_LINE_MAX);
    if (arguments)
        execv(program, arguments);
    tims_status status = tims_fail(err, TIMS_IO, "exec", "Cannot restart %s: %s.", program, strerror(errno));
    free(arguments);
    free(buffer);
    return status;
}
