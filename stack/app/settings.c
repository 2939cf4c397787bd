/* settings.c: every setting of a program, in one table: the environment, then .env, then the default. */
#include <stdio.h>

#include "app/app_internal.h"

#define SETTING(kind_, name_, member_, default_, ...)                                            \
    {                                                                                            \
        .name = name_, .kind = TIMS_SETTING_##kind_, .offset = offsetof(app__settings, member_), \
        .default_value = default_, __VA_ARGS__                                                   \
    }
#define ONE_OF(...)                                    \
    .choices = { (const char *const[]){ __VA_ARGS__ }, \
                 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) }

static const tims_setting table[] = {
    SETTING(STR, "HOST", host, "127.0.0.1", .doc = "The address to listen on; 0.0.0.0 for all."),
    SETTING(INT, "PORT", port, "8000", .min = 0, .max = 65535, .doc = "The port; 0 takes any free one."),
    SETTING(STR, "DATABASE_URL", database_url, "sqlite:back/data/dev.sqlite3", .secret = true,
            .doc = "sqlite:<file>. The file and its folder are made when absent."),
    SETTING(
        STR, "REDIS_URL", redis_url, "", .secret = true,
        .doc =
            "redis://user:password@host:port/database, which makes this process one node of many. Empty: it "
            "is alone."),
    SETTING(STR, "REDIS_PREFIX", redis_prefix, "",
            .doc = "What all names in Redis begin with, the same on all nodes. Empty: made from the "
                   "database's key."),
    SETTING(INT, "LOOPS", loops, "0", .min = 0, .max = 256, .doc = "Event loops; 0: one per core."),
    SETTING(BOOL, "DEVELOPMENT", development, "false", .doc = "Pages from `next dev`, errors in detail."),
    SETTING(STR, "FRONT_DIRECTORY", front_directory, "front",
            .doc = "Holds dist/ and public/ of the front end."),
    SETTING(STR, "RENDER_COMMAND", render_command, "",
            .doc = "Starts the render server; it is kept running. Empty: nothing is started."),
    SETTING(STR, "RENDER_URL", render_url, "",
            .doc = "Where the render server listens, if it is not started from here."),
    SETTING(MS, "RENDER_TIMEOUT", render_timeout_ms, "3s", .min = 10, .max = 60000,
            .doc = "Past it the exported page is served instead."),
    SETTING(INT, "RENDER_PROCESSES", render_processes, "0", .min = 0, .max = 64,
            .doc = "So many run RENDER_COMMAND, or stand behind RENDER_URL; 0: one per core."),
    SETTING(BYTES, "RENDER_MEMORY_MAX", render_memory_max, "512m", .min = 0, .max = INT64_MAX,
            .doc = "A render process with more in memory is replaced by a fresh one; 0: never."),
    SETTING(STR, "LOG_LEVEL", log_level, "info", ONE_OF("debug", "info", "warn", "error"),
            .doc = "What is logged."),
    SETTING(STR, "LOG_FORMAT", log_format, "human", ONE_OF("human", "json"),
            .doc = "Lines for people or as JSON."),
    SETTING(BOOL, "ACCESS_LOG", access_log, "true", .doc = "A line per request."),
    SETTING(BOOL, "COMPRESS", compress, "true", .doc = "br and gzip for answers above 1 KiB."),
    SETTING(STR, "TLS_CERTIFICATE", certificate_path, "",
            .doc = "PEM file; serves https when set with TLS_KEY."),
    SETTING(STR, "TLS_KEY", key_path, "", .doc = "PEM file of the certificate's key."),
    SETTING(STR, "CORS_ORIGINS", cors_origins, "",
            .doc = "Other origins whose pages may call the API, with commas."),
    SETTING(STR, "TRUSTED_PROXIES", trusted_proxies, "",
            .doc = "Addresses whose X-Forwarded-For and -Proto are believed, with commas."),
    SETTING(BOOL, "SECURE_COOKIES", secure_cookies, "false", .doc = "Set it where the site is https."),
    SETTING(INT, "CONNECTIONS_MAX", connections_max, "20000", .min = 1, .max = 1000000,
            .doc = "Open connections; one more gets 503."),
    SETTING(INT, "CONNECTIONS_PER_ADDRESS_MAX", connections_per_address_max, "256", .min = 0, .max = 1000000,
            .doc = "Open connections of one address (an IPv6 /64 is one); one more gets 503. 0: no limit."),
    SETTING(STR, "CONNECTIONS_UNCOUNTED", connections_uncounted, "127.0.0.0/8,::1",
            .doc = "Addresses without that limit, beside TRUSTED_PROXIES, with commas."),
    SETTING(BYTES, "REQUEST_MEMORY_MAX", request_memory_max, "32m", .min = 65536, .max = INT64_MAX,
            .doc = "What one request may allocate."),
    SETTING(MS, "HEADER_TIMEOUT", header_timeout_ms, "10s", .min = 10, .max = 600000,
            .doc = "For a whole request head."),
    SETTING(MS, "BODY_TIMEOUT", body_timeout_ms, "30s", .min = 10, .max = 600000,
            .doc = "Between two pieces of a body."),
    SETTING(MS, "IDLE_TIMEOUT", idle_timeout_ms, "75s", .min = 10, .max = 3600000,
            .doc = "Kept-alive connections."),
    SETTING(MS, "WRITE_TIMEOUT", write_timeout_ms, "30s", .min = 10, .max = 600000,
            .doc = "For a client that does not take its answer."),
    SETTING(MS, "DRAIN_TIMEOUT", drain_timeout_ms, "20s", .min = 10, .max = 600000,
            .doc = "For requests under way when the server stops."),
    SETTING(MS, "SESSION_IDLE", session_idle_ms, "14d", .min = 1000, .max = INT64_MAX,
            .doc = "A session nobody uses ends after this."),
    SETTING(MS, "SESSION_MAX", session_max_ms, "90d", .min = 1000, .max = INT64_MAX,
            .doc = "Any session ends after this."),
    SETTING(INT, "LOGIN_FAILURES_MAX", login_failures_max, "10", .min = 1, .max = 1000,
            .doc = "Failed logins in 15 minutes per address, and per account from one address."),
    SETTING(INT, "ACCOUNT_FAILURES_MAX", account_failures_max, "100", .min = 1, .max = 100000,
            .doc = "Failed logins in 15 minutes per account, from all addresses it does not know."),
    SETTING(INT, "REGISTRATIONS_MAX", registrations_max, "10", .min = 1, .max = 1000000,
            .doc = "New accounts per address and hour."),
    SETTING(INT, "SESSIONS_MAX", sessions_max, "50", .min = 1, .max = 100000,
            .doc = "Sessions of one user, and as many devices; the longest unused give way."),
    SETTING(BOOL, "OPEN_REGISTRATION", open_registration, "true", .doc = "Anybody may make an account."),
    SETTING(BOOL, "CHEAP_PASSWORDS", cheap_passwords, "false",
            .doc = "For tests only: password hashes that cost next to nothing."),
    SETTING(MS, "LIVE_POLL", live_poll_ms, "25ms", .min = 1, .max = 60000,
            .doc = "How often other programs' changes are looked for."),
    SETTING(MS, "LIVE_LOG_KEEP", live_log_keep_ms, "24h", .min = 1000, .max = INT64_MAX,
            .doc = "How long a client may be away and still resume."),
    SETTING(INT, "SOCKETS_PER_USER", sockets_per_user, "100", .min = 1, .max = 1000000,
            .doc = "Open live connections of one user, and sockets on apps' own endpoints."),
    SETTING(BYTES, "CACHE_BYTES", cache_bytes, "64m", .min = 0, .max = INT64_MAX,
            .doc = "Answers and pages kept in memory until what they were read from changes; 0: none."),
    SETTING(BOOL, "CACHE_CHECK", cache_check, "false",
            .doc = "For tests only: what is kept is read again each time, and differences are counted."),
    SETTING(STR, "TASKS_URL", tasks_url, "", .secret = true,
            .doc =
                "redis://… : jobs are messages on Redis, in Celery's protocol. Empty: the app's database."),
    SETTING(BOOL, "WORKER", worker, "true", .doc = "`serve` runs jobs too."),
    SETTING(STR, "WORKER_NAME", worker_name, "", .doc = "A worker's name; empty: host:pid."),
    SETTING(STR, "WORKER_QUEUES", worker_queues, "",
            .doc = "What it takes jobs from, with commas; empty: all."),
    SETTING(INT, "WORKER_CONCURRENCY", worker_concurrency, "100", .min = 1, .max = 10000,
            .doc = "Jobs that run at once."),
    SETTING(INT, "WORKER_PROCESSES", worker_processes, "0", .min = 0, .max = 256,
            .doc = "Processes for blocking tasks; 0: one per core."),
    SETTING(MS, "WORKER_LEASE", worker_lease_ms, "30s", .min = 200, .max = 3600000,
            .doc = "A worker without a sign of life for as long loses its jobs to others."),
    SETTING(MS, "WORKER_DRAIN", worker_drain_ms, "20s", .min = 0, .max = 3600000,
            .doc = "For running jobs when it stops; then they are handed back."),
    SETTING(STR, "PUSH_FCM_ACCOUNT", push_fcm_account, "",
            .doc = "JSON file: the key of a service account of Firebase. Empty: nothing is sent to Android."),
    SETTING(STR, "PUSH_FCM_URL", push_fcm_url, "https://fcm.googleapis.com",
            .doc = "Where Firebase Cloud Messaging is."),
    SETTING(STR, "PUSH_APNS_KEY", push_apns_key, "",
            .doc = "The .p8 file of an APNs key. Empty: nothing is sent to Apple's devices."),
    SETTING(STR, "PUSH_APNS_KEY_ID", push_apns_key_id, "", .doc = "That key's id: 10 characters."),
    SETTING(STR, "PUSH_APNS_TEAM", push_apns_team, "", .doc = "The developer team's id: 10 characters."),
    SETTING(STR, "PUSH_APNS_TOPIC", push_apns_topic, "", .doc = "The app's bundle id."),
    SETTING(STR, "PUSH_APNS_URL", push_apns_url, "https://api.push.apple.com",
            .doc = "Where APNs is; https://api.sandbox.push.apple.com for builds from Xcode."),
    SETTING(STR, "PUSH_CA", push_ca, "",
            .doc = "PEM file of the authorities that push services are believed by. Empty: the system's."),
    SETTING(STR, "METRICS_TOKEN", metrics_token, "", .secret = true,
            .doc = "The bearer token that /metrics asks for. Empty: only this machine may read it."),
    SETTING(STR, "PID_FILE", pid_file, "", .doc = "Where to write the process id."),
};
enum { SETTING_COUNT = sizeof table / sizeof table[0], PROBLEM_BYTES_MAX = 65536 };

static void setup_log(const app__settings *settings)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    tims_log_level level = TIMS_LOG_INFO;
    for (int i = 0; i < 4; i++)
        if (tims_str_equal(settings->log_level, tims_str_from(levels[i])))
            level = (tims_log_level)i;
    bool json = tims_str_equal(settings->log_format, TIMS_STR("json"));
    tims_log_setup(level, json ? TIMS_LOG_JSON : TIMS_LOG_HUMAN, 2);
}

/* Three for each row of the project's table of upstreams: its address, the secret for telling it who asks,
 * and whom to trust there. */
enum { PROXY_SETTINGS = 3 };
static tims_setting *list_proxy_settings(const app__stack *stack, size_t *ret_count)
{
    size_t rows = tims_proxies_count(stack->project->proxies);
    tims_setting *settings = TIMS_NEW_ARRAY(stack->arena, tims_setting, PROXY_SETTINGS * rows + 1);
    for (size_t i = 0; i < rows; i++) {
        const tims_proxy *row = &stack->project->proxies[i];
        size_t at = i * sizeof(tims_proxy_settings);
        tims_setting *three = &settings[PROXY_SETTINGS * i];
        three[0] = (tims_setting){ .name = tims_proxy_setting_name(stack->arena, row, ""),
                                   .kind = TIMS_SETTING_STR,
                                   .offset = at + offsetof(tims_proxy_settings, upstream),
                                   .default_value = row->upstream != NULL ? row->upstream : "",
                                   .doc = "The program behind this part of the site." };
        three[2] =
            (tims_setting){ .name = tims_proxy_setting_name(stack->arena, row, "_CA"),
                            .kind = TIMS_SETTING_STR,
                            .offset = at + offsetof(tims_proxy_settings, ca),
                            .default_value = "",
                            .doc = "Certificates (PEM) to trust there, for https; none: the system's." };
        three[1] = (tims_setting){ .name = tims_proxy_setting_name(stack->arena, row, "_SECRET"),
                                   .kind = TIMS_SETTING_STR,
                                   .offset = at + offsetof(tims_proxy_settings, secret),
                                   .default_value = "",
                                   .secret = true,
                                   .doc = "Signs who asks, for that program." };
    }
    *ret_count = PROXY_SETTINGS * rows;
    return settings;
}

static tims_status load_proxy_settings(app__stack *stack, tims_buf *problems)
{
    size_t count;
    const tims_setting *settings = list_proxy_settings(stack, &count);
    stack->settings.proxies = TIMS_NEW_ARRAY(stack->arena, tims_proxy_settings, count / PROXY_SETTINGS + 1);
    return tims_settings_load(stack->arena, settings, count, ".env", stack->settings.proxies, problems);
}

bool app__load_settings(app__stack *stack)
{
    tims_buf problems;
    tims_buf_init(&problems, stack->arena, PROBLEM_BYTES_MAX);
    tims_status status =
        tims_settings_load(stack->arena, table, SETTING_COUNT, ".env", &stack->settings, &problems);
    if (load_proxy_settings(stack, &problems) != TIMS_OK)
        status = TIMS_INVALID;
    if (status == TIMS_OK &&
        (stack->settings.certificate_path.length > 0) != (stack->settings.key_path.length > 0)) {
        tims_buf_print(&problems, "TLS_CERTIFICATE and TLS_KEY: set both or neither\n");
        status = TIMS_INVALID;
    }
    if (status != TIMS_OK) {
        (void)fprintf(stderr, "The settings (environment or .env) are not right:\n%.*s",
                      TIMS_PRINT(tims_buf_str(&problems)));
        return false;
    }
    setup_log(&stack->settings);
    return true;
}

void app__describe_settings(const app__stack *stack, tims_buf *out)
{
    size_t count;
    tims_settings_describe(table, SETTING_COUNT, &stack->settings, out);
    const tims_setting *proxies = list_proxy_settings(stack, &count);
    tims_settings_describe(proxies, count, stack->settings.proxies, out);
}

tims_names app__split_names(tims_arena *arena, tims_str text)
{
    size_t count = 0;
    const char **items = TIMS_NEW_ARRAY(arena, const char *, text.length / 2 + 1);
    while (text.data != NULL) {
        tims_str name = tims_str_trim(tims_str_cut(&text, ','));
        if (name.length > 0)
            items[count++] = tims_copy_c(arena, name);
    }
    return (tims_names){ items, count };
}
