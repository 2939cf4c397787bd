/* health_command.c: `health`: asks the server of the same settings whether it may be sent requests. For
 * images, which have neither a shell nor curl to ask with. */
#include <stdio.h>

#include "app/app_internal.h"

enum { PATIENCE_MS = 3000 };

/* Who listens everywhere is asked at the machine's own address, the older one first. */
static tims_status ask(app__stack *stack, tims_str *ret_line, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    bool all = settings->host.length == 0 || tims_str_equal(settings->host, TIMS_STR("0.0.0.0")) ||
               tims_str_equal(settings->host, TIMS_STR("::"));
    tims_probe_options options = { .host = all ? "127.0.0.1" : tims_copy_c(stack->arena, settings->host),
                                   .port = (uint16_t)settings->port,
                                   .path = "/readyz",
                                   .is_tls = settings->certificate_path.length > 0,
                                   .patience_ms = PATIENCE_MS };
    tims_status status = tims_probe(stack->arena, &options, ret_line, err);
    if (status == TIMS_OK || !tims_str_equal(settings->host, TIMS_STR("::")))
        return status;
    options.host = "::1";
    return tims_probe(stack->arena, &options, ret_line, err);
}

int app__health(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    tims_error err = { 0 };
    tims_str answer;
    if (ask(stack, &answer, &err) != TIMS_OK)
        return app__complain(stack, &err);
    (void)printf("%.*s\n", TIMS_PRINT(answer));
    return tims_str_starts_with(answer, TIMS_STR("HTTP/1.1 200 ")) ? 0 : 1;
}
