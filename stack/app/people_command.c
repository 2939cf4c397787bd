/* people_command.c: `createadmin` and `demo`. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "app/app_internal.h"

enum { PASSWORD_BYTES_MAX = 300 };

/* One line, not echoed on a terminal. */
static bool read_password(char *ret_line, size_t size)
{
    struct termios shown, hidden;
    bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        (void)fprintf(stderr, "Password: ");
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    bool read = fgets(ret_line, (int)size, stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fputc('\n', stderr);
    }
    if (read)
        ret_line[strcspn(ret_line, "\r\n")] = '\0';
    return read;
}

typedef struct new_admin {
    tims_str username, password;
} new_admin;

static void create_admin(tims_request *rq, void *argument)
{
    const new_admin *admin = argument;
    tims_user *user;
    tims_error err = { 0 };
    tims_check(rq, tims_user_create(rq, admin->username, admin->password, true, &user, &err), &err);
}

int app__createadmin(app__stack *stack, int argc, char **argv)
{
    const char *username = app__word(argc, argv);
    char password[PASSWORD_BYTES_MAX];
    tims_error err = { 0 };
    if (username == NULL) {
        (void)fprintf(stderr, "Usage: %s createadmin USERNAME\n", stack->project->name);
        return 2;
    }
    if (app__open(stack, false, app__compose_server, &err) != TIMS_OK)
        return app__complain(stack, &err);
    if (!read_password(password, sizeof password)) {
        (void)fprintf(stderr, "%s: no password was given\n", stack->project->name);
        return 1;
    }
    new_admin admin = { tims_str_from(username), tims_str_from(password) };
    if (app__run_scope(stack, create_admin, &admin, &err) != TIMS_OK)
        return app__complain(stack, &err);
    (void)printf("%s is staff now.\n", username);
    return 0;
}

static void fill_in(tims_request *rq, void *argument)
{
    const tims_project *project = argument;
    for (const tims_app *const *app = project->apps; *app != NULL; app++)
        if ((*app)->demo != NULL)
            (*app)->demo(rq);
}

int app__demo(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    tims_error err = { 0 };
    if (app__open(stack, false, app__compose_server, &err) != TIMS_OK ||
        app__run_scope(stack, fill_in, (void *)(uintptr_t)stack->project, &err) != TIMS_OK)
        return app__complain(stack, &err);
    (void)printf("The demo's users and data are there.\n");
    return 0;
}
