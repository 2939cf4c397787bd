/* inspect_command.c: `routes`, `check` and `shell`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/app_internal.h"

enum { DESCRIPTION_BYTES_MAX = 256 * 1024 };

static void append_methods(tims_buf *out, uint32_t methods)
{
    size_t start = out->length;
    for (uint32_t bit = 1; bit <= TIMS_METHOD_OPTIONS; bit <<= 1)
        if ((methods & bit) != 0)
            tims_buf_print(out, "%s%s", out->length > start ? "," : "", tims_method_name((tims_method)bit));
    while (out->length - start < 24)
        tims_buf_append_char(out, ' ');
}

int app__routes_command(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    tims_error err = { 0 };
    if (app__open(stack, false, app__compose_server, &err) != TIMS_OK)
        return app__complain(stack, &err);
    size_t count;
    const tims_route *const *routes = app__routes(stack, &count);
    tims_buf out;
    tims_buf_init(&out, stack->arena, DESCRIPTION_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        append_methods(&out, routes[i]->methods);
        tims_buf_print(&out, " %-40s %s\n", routes[i]->pattern, routes[i]->doc != NULL ? routes[i]->doc : "");
    }
    return printf("%.*s", TIMS_PRINT(tims_buf_str(&out))) < 0;
}

int app__check(app__stack *stack, int argc, char **argv)
{
    tims_error err = { 0 };
    if (app__flag(argc, argv, "--settings")) {
        tims_buf out;
        tims_buf_init(&out, stack->arena, DESCRIPTION_BYTES_MAX);
        app__describe_settings(stack, &out);
        (void)printf("%.*s\n", TIMS_PRINT(tims_buf_str(&out)));
    }
    if (app__open(stack, false, app__compose_server, &err) != TIMS_OK)
        return app__complain(stack, &err);
    (void)printf("Settings, models, rules, routes and migrations are right.\n");
    return 0;
}

/* The URL as psql takes it: without the parameters that are the stack's own. */
static const char *psql_url(tims_arena *arena, tims_str url)
{
    static const char *const own[] = { "prepared", "connections", "statement_timeout", "connect_timeout" };
    tims_str rest = url, base = tims_str_cut(&rest, '?');
    tims_buf out;
    tims_buf_init(&out, arena, url.length + 2);
    tims_buf_append_str(&out, base);
    char separator = '?';
    while (rest.data != NULL && rest.length > 0) {
        tims_str pair = tims_str_cut(&rest, '&'), value = pair, name = tims_str_cut(&value, '=');
        bool is_own = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            is_own |= tims_str_equal(name, tims_str_from(own[i]));
        if (is_own)
            continue;
        tims_buf_append_char(&out, separator);
        tims_buf_append_str(&out, pair);
        separator = '&';
    }
    return tims_copy_c(arena, tims_buf_str(&out));
}

int app__shell(app__stack *stack, int argc, char **argv)
{
    tims_str url = stack->settings.database_url;
    const char *statement = app__word(argc, argv), *program = "sqlite3", *package = "sqlite3";
    if (tims_str_starts_with(url, TIMS_STR("sqlite:"))) {
        const char *path = tims_copy_c(stack->arena, tims_str_slice(url, 7, url.length));
        (void)execlp(program, program, path, statement, (char *)NULL);
    } else {
        program = "psql";
        package = "postgresql-client";
        const char *place = psql_url(stack->arena, url);
        if (statement == NULL)
            (void)execlp(program, program, place, (char *)NULL);
        else /* its answer bare, as sqlite3 gives it */
            (void)execlp(program, program, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement, place,
                         (char *)NULL);
    }
    (void)fprintf(stderr, "%s: %s does not start: %s (Debian's package is %s)\n", stack->project->name,
                  program, strerror(errno), package);
    return 1;
}
