/* restart_test.c: SIGHUP replaces the program while clients keep asking; SIGTERM ends it; neither loses a
 * request.
 *
 * The test program starts itself as the server ("serve" as its argument), so that a real process is
 * signalled. */
#include "http/testing.h"

#include <signal.h>
#include <sys/wait.h>

static tims_answer say_start(tims_request *rq)
{
    (void)!tims_sleep_ms(5);
    return tims_answer_text(rq, 200, "started %s", (const char *)rq->server_data);
}

static const tims_route routes[] = { { .methods = TIMS_METHOD_GET, .pattern = "/", .handler = say_start } };

static void announce(tims_server *server, void *argument)
{
    FILE *file = fopen(argument, "a");
    if (!file)
        abort();
    fprintf(file, "%d\n", tims_server_port(server));
    fclose(file);
}

/* Each start of the program says so in the file, with its port. */
static int serve(const char *port_path, const char *pid_path)
{
    const tims_route *pointers[] = { &routes[0] };
    tims_router *router = NULL;
    tims_error err = { 0 };
    tims_log_setup(TIMS_LOG_ERROR + 1, TIMS_LOG_HUMAN, 2);
    if (tims_router_new(pointers, 1, &router, &err) != TIMS_OK)
        return 2;
    char start[32];
    snprintf(start, sizeof(start), "%lld", (long long)tims_monotonic_us());
    tims_server_options options;
    tims_server_options_default(&options);
    options.router = router;
    options.port = 0;
    options.loops = 2;
    options.data = start;
    options.access_log = false;
    options.pid_file = pid_path;
    tims_status status = tims_server_run(&options, announce, (void *)(uintptr_t)port_path, &err);
    tims_router_free(&router);
    return status == TIMS_OK ? 0 : 1;
}

typedef struct fixture {
    char folder[64], port_path[128], pid_path[128];
    pid_t pid;
    test_server t; /* for its port only */
} fixture;

static int count_starts(const fixture *f, uint16_t *ret_port)
{
    FILE *file = fopen(f->port_path, "r");
    int port = 0, starts = 0;
    while (file && fscanf(file, "%d", &port) == 1)
        starts++;
    if (file)
        fclose(file);
    *ret_port = (uint16_t)port;
    return starts;
}

static bool wait_for_starts(const fixture *f, int starts, uint16_t *ret_port)
{
    for (int i = 0; i < TEST_WAIT_MS / 5; i++) {
        if (count_starts(f, ret_port) >= starts)
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

static int set_up(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof(f));
    snprintf(f.folder, sizeof(f.folder), "/tmp/tims-restart-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.port_path, sizeof(f.port_path), "%s/ports", f.folder);
    snprintf(f.pid_path, sizeof(f.pid_path), "%s/pid", f.folder);
    f.pid = fork();
    assert_true(f.pid >= 0);
    if (f.pid == 0) {
        execl("/proc/self/exe", "restart_test", "serve", f.port_path, f.pid_path, (char *)NULL);
        _exit(127);
    }
    assert_true(wait_for_starts(&f, 1, &f.t.port));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    unlink(f->port_path);
    unlink(f->pid_path);
    return rmdir(f->folder);
}

typedef struct load {
    fixture *f;
    pthread_t thread;
    atomic_bool stop;
    atomic_int answered, lost;
    bool kept_alive;
} load;

/* Asks again and again; a kept connection is left when an answer says that it closes. */
static void *run_load(void *argument)
{
    load *l = argument;
    int fd = -1;
    while (!atomic_load(&l->stop)) {
        if (fd < 0)
            fd = test_connect(&l->f->t);
        test_send(fd, l->kept_alive ? "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                                    : "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        test_answer answer = test_read(fd);
        char value[32];
        bool closes = answer.status != 200 || test_header(&answer, "Connection", value, sizeof(value));
        atomic_fetch_add(answer.status == 200 ? &l->answered : &l->lost, 1);
        test_answer_free(&answer);
        if (closes) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void start_loads(fixture *f, load *loads, int count)
{
    for (int i = 0; i < count; i++) {
        loads[i].f = f;
        loads[i].kept_alive = i % 2 == 0;
        assert_int_equal(pthread_create(&loads[i].thread, NULL, run_load, &loads[i]), 0);
    }
}

static bool wait_for_answers(load *l, int more)
{
    int wanted = atomic_load(&l->answered) + more;
    for (int i = 0; i < TEST_WAIT_MS; i++) {
        if (atomic_load(&l->answered) >= wanted)
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

static void a_hangup_restarts_without_losing_a_request(void **state)
{
    fixture *f = *state;
    static load loads[4];
    memset(loads, 0, sizeof(loads));
    start_loads(f, loads, 4);
    uint16_t port = 0;
    for (int restart = 1; restart <= 3; restart++) {
        for (int i = 0; i < 4; i++)
            assert_true(wait_for_answers(&loads[i], 10));
        assert_int_equal(kill(f->pid, SIGHUP), 0);
        assert_true(wait_for_starts(f, 1 + restart, &port));
        assert_int_equal(f->t.port, port);
        for (int i = 0; i < 4; i++)
            assert_true(wait_for_answers(&loads[i], 10));
    }
    for (int i = 0; i < 4; i++) {
        atomic_store(&loads[i].stop, true);
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(atomic_load(&loads[i].lost), 0);
    }
    FILE *file = fopen(f->pid_path, "r");
    int pid = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    assert_int_equal(pid, f->pid); /* the same process, for whoever supervises it */
}

static void a_termination_answers_what_is_under_way_and_exits_cleanly(void **state)
{
    fixture *f = *state;
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = test_connect(&f->t);
        test_send(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assert_int_equal(kill(f->pid, SIGTERM), 0);
    for (int i = 0; i < 20; i++) {
        test_answer answer = test_read(fds[i]);
        assert_int_equal(answer.status, 200);
        test_answer_free(&answer);
        close(fds[i]);
    }
    int status = 0;
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(access(f->pid_path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2], arguments[3]);
    const struct CMUnitTest tests[] = {
        TEST(a_hangup_restarts_without_losing_a_request),
        TEST(a_termination_answers_what_is_under_way_and_exits_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
