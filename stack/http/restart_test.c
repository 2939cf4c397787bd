/* restart_test.c: SIGHUP replaces the program while clients keep asking; SIGTERM ends it; neither loses a
 * request.
 *
 * The test program starts itself as the server ("serve" as its argument), so that a real process is
 * signalled. */
#include "http/testing.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
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
    tims_log(TIMS_LOG_ERROR, "test", "has announced itself");
}

/* Each start of the program says so in the file, with its port. */
static int serve(const char *port_path, const char *pid_path, const char *log_path)
{
    const tims_route *pointers[] = { &routes[0] };
    tims_router *router = NULL;
    tims_error err = { 0 };
    tims_log_setup(TIMS_LOG_ERROR, TIMS_LOG_HUMAN,
                   open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
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
    if (status != TIMS_OK)
        tims_log(TIMS_LOG_ERROR, "test", "%s", err.message);
    return status == TIMS_OK ? 0 : 1;
}

typedef struct fixture {
    char folder[64], port_path[128], pid_path[128], log_path[128], program_path[128];
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

static bool wait_for_log(const fixture *f, const char *text)
{
    for (int i = 0; i < TEST_WAIT_MS / 5; i++) {
        char log[4096] = "";
        FILE *file = fopen(f->log_path, "r");
        if (file) {
            log[fread(log, 1, sizeof(log) - 1, file)] = 0;
            fclose(file);
        }
        if (strstr(log, text))
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

static void start_program(fixture *f, const char *program)
{
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        execl(program, "restart_test", "serve", f->port_path, f->pid_path, f->log_path, (char *)NULL);
        _exit(127);
    }
    assert_true(wait_for_starts(f, 1, &f->t.port));
}

static int make_folder(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof(f));
    snprintf(f.folder, sizeof(f.folder), "/tmp/tims-restart-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.port_path, sizeof(f.port_path), "%s/ports", f.folder);
    snprintf(f.pid_path, sizeof(f.pid_path), "%s/pid", f.folder);
    snprintf(f.log_path, sizeof(f.log_path), "%s/log", f.folder);
    snprintf(f.program_path, sizeof(f.program_path), "%s/program", f.folder);
    *state = &f;
    return 0;
}

static int set_up(void **state)
{
    make_folder(state);
    start_program(*state, "/proc/self/exe");
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
    unlink(f->log_path);
    unlink(f->program_path);
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

/* The numbers of what a process has open: bit by bit, as far as they are small. */
static uint64_t read_open_fds(pid_t pid)
{
    char path[64];
    uint64_t fds = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t fd = test_number(entry->d_name, 10);
        if (entry->d_name[0] != '.' && fd < 64)
            fds |= UINT64_C(1) << fd;
    }
    closedir(folder);
    return fds;
}

/* The process may have one descriptor more, not two. */
static void leave_one_fd(pid_t pid)
{
    uint64_t fds = read_open_fds(pid) | 7;
    struct rlimit limit = { 0 };
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
    uint64_t free_after_one = ~(fds | (fds + 1));
    assert_true(free_after_one != 0);
    limit.rlim_cur = (rlim_t)__builtin_ctzll(free_after_one);
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void a_restart_that_fails_half_way_leaves_no_traces_and_the_next_succeeds(void **state)
{
    fixture *f = *state;
    assert_true(wait_for_log(f, "has announced itself")); /* nothing of its start is open any more */
    uint64_t before = read_open_fds(f->pid);
    struct rlimit limit = { 0 };
    assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, NULL, &limit), 0);
    leave_one_fd(f->pid);
    assert_int_equal(kill(f->pid, SIGHUP), 0);
    assert_true(wait_for_log(f, "cannot restart: "));
    assert_int_equal(read_open_fds(f->pid), before);
    assert_int_equal(prlimit(f->pid, RLIMIT_NOFILE, &limit, NULL), 0);
    uint16_t port = 0;
    assert_int_equal(kill(f->pid, SIGHUP), 0);
    assert_true(wait_for_starts(f, 2, &port));
    assert_int_equal(port, f->t.port);
    test_answer answer = test_ask(&f->t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    test_answer_free(&answer);
}

static void copy_program(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0);
    static char block[1 << 20];
    for (ssize_t length; (length = read(from, block, sizeof(block))) > 0;)
        assert_int_equal(write(to, block, (size_t)length), length);
    close(from);
    close(to);
}

static void a_program_that_cannot_be_started_again_ends_as_failed(void **state)
{
    fixture *f = *state;
    copy_program(f->program_path);
    start_program(f, f->program_path);
    assert_int_equal(unlink(f->program_path), 0);
    assert_int_equal(kill(f->pid, SIGHUP), 0);
    int status = 0;
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(wait_for_log(f, "Cannot restart "));
    assert_int_equal(access(f->pid_path, F_OK), -1);
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
    if (count == 5 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2], arguments[3], arguments[4]);
    const struct CMUnitTest tests[] = {
        TEST(a_hangup_restarts_without_losing_a_request),
        TEST(a_restart_that_fails_half_way_leaves_no_traces_and_the_next_succeeds),
        cmocka_unit_test_setup_teardown(a_program_that_cannot_be_started_again_ends_as_failed, make_folder,
                                        tear_down),
        TEST(a_termination_answers_what_is_under_way_and_exits_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
