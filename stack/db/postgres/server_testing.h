/* server_testing.h: a PostgreSQL server of a test's own, on a free port in a temporary folder: it can be
 * stopped as if the power had failed and started again; with TLS, with passwords, behind pgbouncer. */
#ifndef TIMS_SERVER_TESTING_H
#define TIMS_SERVER_TESTING_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "db/postgres/postgres_testing.h"

typedef struct server {
    char folder[64], data[96], binaries[64];
    int port;
    pid_t process;
} server;

/* A port that was free a moment ago. */
TIMS_UNUSED static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* PostgreSQL and pgbouncer refuse to run as root; then they run as the user that the package made. */
TIMS_UNUSED static pid_t start_program(const server *s, const char *log, const char *const *arguments)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    char path[128];
    const char *all[40] = { "setpriv", "--pdeathsig", "QUIT" };
    size_t count = 3;
    if (getuid() == 0) {
        all[count++] = "--reuid=postgres";
        all[count++] = "--regid=postgres";
        all[count++] = "--clear-groups";
    }
    while (*arguments != NULL)
        all[count++] = *arguments++;
    (void)snprintf(path, sizeof path, "%s/%s", s->folder, log);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    (void)dup2(fd, 1);
    (void)dup2(fd, 2);
    (void)execvp(all[0], (char *const *)(uintptr_t)all);
    _exit(127);
}

TIMS_UNUSED static void run_program(const server *s, const char *const *arguments)
{
    int how = 0;
    pid_t child = start_program(s, "setup.log", arguments);
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
        fail_msg("%s failed: see %s/setup.log", arguments[0], s->folder);
}

/* As the server's user owns it. */
TIMS_UNUSED static void write_file(const server *s, const char *name, const char *text, mode_t mode)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", s->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL)
        assert_int_equal(chown(path, user->pw_uid, user->pw_gid), 0);
}

TIMS_UNUSED static bool answers(const server *s)
{
    char url[128];
    (void)snprintf(url, sizeof url, "postgres://tims@127.0.0.1:%d/postgres", s->port);
    return PQping(url) == PQPING_OK;
}

TIMS_UNUSED static void start_server(server *s)
{
    char postgres[96], port[16];
    (void)snprintf(postgres, sizeof postgres, "%s/postgres", s->binaries);
    (void)snprintf(port, sizeof port, "%d", s->port);
    s->process = start_program(s, "postgres.log",
                               (const char *const[]){ postgres, "-D", s->data, "-p", port, "-c",
                                                      "listen_addresses=127.0.0.1", "-c",
                                                      "unix_socket_directories=", NULL });
    int64_t limit_us = tims_monotonic_us() + 60 * 1000000;
    while (!answers(s) && tims_monotonic_us() < limit_us)
        (void)usleep(10000);
    if (!answers(s))
        fail_msg("PostgreSQL has not started: see %s/postgres.log", s->folder);
}

/* SIGINT: sends everybody away; SIGQUIT: as if the power had failed. */
TIMS_UNUSED static void stop_server(server *s, int signal_number)
{
    if (s->process <= 0)
        return;
    int how = 0;
    assert_int_equal(kill(s->process, signal_number), 0);
    assert_int_equal(waitpid(s->process, &how, 0), s->process);
    s->process = 0;
}

TIMS_UNUSED static void find_binaries(server *s)
{
    static const char base[] = "/usr/lib/postgresql";
    DIR *folder = opendir(base);
    int best = 0;
    for (const struct dirent *at; folder != NULL && (at = readdir(folder)) != NULL;) {
        int64_t version = 0;
        if (tims_str_to_int(tims_str_from(at->d_name), 1, 1000, &version) && version > best)
            best = (int)version;
    }
    if (folder != NULL)
        closedir(folder);
    if (best == 0)
        fail_msg("PostgreSQL is missing; install it: apt-get install postgresql");
    (void)snprintf(s->binaries, sizeof s->binaries, "%s/%d/bin", base, best);
}

/* Not started yet: for settings and files in `data`. */
TIMS_UNUSED static void make_server(server *s)
{
    char initdb[96];
    find_binaries(s);
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/tims-server-test-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL)
        assert_int_equal(chown(s->folder, user->pw_uid, user->pw_gid), 0);
    assert_int_equal(chmod(s->folder, 0755), 0);
    (void)snprintf(s->data, sizeof s->data, "%s/data", s->folder);
    (void)snprintf(initdb, sizeof initdb, "%s/initdb", s->binaries);
    run_program(s, (const char *const[]){ initdb, "-D", s->data, "--username=tims", "--auth=trust",
                                          "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", NULL });
    s->port = free_port();
}

TIMS_UNUSED static void drop_server(server *s)
{
    stop_server(s, SIGQUIT);
    remove_folder(s->folder);
}

TIMS_UNUSED static void run_on_server(const server *s, const char *sql)
{
    char url[128];
    (void)snprintf(url, sizeof url, "postgres://tims@127.0.0.1:%d/postgres", s->port);
    PGconn *connection = PQconnectdb(url);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
}

#endif
