/* openapi.c: the API's document: all tables of the project, with those of the stack, as OpenAPI. */
#include <stdio.h>

#include "app/app_internal.h"

enum { STACK_PARTS = 4 };

static const tims_websocket_route live_websocket[] = {
    { .path = "/live",
      .doc = "The live websocket: subscriptions to lists, rows and computed endpoints by their URL. Its "
             "messages "
             "are JSON texts, described in docs/reference/live-protocol.md; GET of a URL with Accept: "
             "text/event-stream follows it alone." },
    { 0 },
};

static const tims_openapi_part *list_parts(const app__stack *stack, size_t *ret_count)
{
    size_t count = 0;
    while (stack->project->apps[count] != NULL)
        count++;
    tims_openapi_part *parts = TIMS_NEW_ARRAY(stack->arena, tims_openapi_part, count + STACK_PARTS);
    for (size_t i = 0; i < count; i++) {
        const tims_app *app = stack->project->apps[i];
        parts[i] = (tims_openapi_part){ .name = app->name,
                                        .doc = app->doc,
                                        .resources = app->resources,
                                        .computed = app->computed,
                                        .routes = app->endpoints,
                                        .websockets = app->websockets };
    }
    parts[count++] = (tims_openapi_part){ .name = "auth",
                                          .doc = "Signing in and out, accounts, device tokens.",
                                          .routes = tims_auth_routes };
    parts[count++] = (tims_openapi_part){ .name = "tasks",
                                          .doc = "Jobs: what users follow, and what staff sees and does.",
                                          .resources = tims_tasks_resources,
                                          .computed = tims_tasks_computed,
                                          .routes = tims_tasks_routes };
    parts[count++] = (tims_openapi_part){ .name = "push",
                                          .doc = "Devices that are told when nobody is connected.",
                                          .resources = tims_push_resources,
                                          .routes = tims_push_routes };
    parts[count++] = (tims_openapi_part){ .name = "system",
                                          .doc = "The process itself, and the live websocket.",
                                          .routes = app__own_routes(stack),
                                          .websockets = live_websocket };
    *ret_count = count;
    return parts;
}

tims_status app__write_openapi(const app__stack *stack, tims_str *ret_json, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    bool secure = settings->secure_cookies || settings->certificate_path.length > 0;
    tims_openapi_options options = {
        .title = stack->project->name,
        .version = stack->project->version,
        .doc = stack->project->doc,
        .license = stack->project->license,
        .session_cookie = tims_auth_cookie_name(secure),
    };
    options.parts = list_parts(stack, &options.part_count);
    return tims_openapi_write(stack->arena, &options, ret_json, err);
}

int app__openapi_command(app__stack *stack, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    tims_str json;
    tims_error err = { 0 };
    tims_status status = app__compose_models(stack, &err);
    if (status == TIMS_OK)
        status = app__write_openapi(stack, &json, &err);
    if (status != TIMS_OK)
        return app__complain(stack, &err);
    return fwrite(json.data, 1, json.length, stdout) != json.length || putchar('\n') == EOF;
}
