/* log.c: one line per event, for people or as JSON, one write per line.
 *
 * The access log is busier than that: its lines are gathered per thread and written once a tick by the
 * loop. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tims/base.h"

enum { LINE_BYTES_MAX = 8192, GATHERED_BYTES_MAX = 65536 };

/* Set once before any thread starts, read-only afterwards. */
static struct {
    tims_log_level level;
    tims_log_format format;
    int fd;
} log_settings = { TIMS_LOG_INFO, TIMS_LOG_HUMAN, STDERR_FILENO };

static _Thread_local const char *current_scope;
static _Thread_local tims_buf gathered = { .max = GATHERED_BYTES_MAX };

void tims_log_setup(tims_log_level level, tims_log_format format, int fd)
{
    log_settings.level = level;
    log_settings.format = format;
    log_settings.fd = fd;
}

bool tims_log_enabled(tims_log_level level)
{
    return level >= log_settings.level;
}

bool tims_log_is_json(void)
{
    return log_settings.format == TIMS_LOG_JSON;
}

const char *tims_log_scope(const char *scope)
{
    const char *former = current_scope;
    current_scope = scope;
    return former;
}

static void write_all(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(log_settings.fd, data, length);
        if (written <= 0)
            return; /* there is nowhere to say it */
        data += written;
        length -= (size_t)written;
    }
}

/* Keeps a line a line, and a terminal a terminal; in JSON also quotes and backslashes. */
static void append_escaped(tims_buf *line, tims_str text, bool json)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (json && (c == '"' || c == '\\'))
            tims_buf_print(line, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            tims_buf_print(line, json ? "\\u%04x" : "\\x%02x", (unsigned)c);
        else
            tims_buf_append_char(line, (char)c);
    }
}

static void append_human(tims_buf *line, tims_str time, tims_log_level level, const char *room, tims_str text)
{
    static const char *const names[] = { "debug", "info ", "WARN ", "ERROR" };
    tims_buf_print(line, "%S %s %-6s ", tims_str_slice(time, 11, 23), names[level], room);
    if (current_scope != NULL)
        tims_buf_print(line, "[%s] ", current_scope);
    append_escaped(line, text, false);
}

static void append_json(tims_buf *line, tims_str time, tims_log_level level, const char *room, tims_str text)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    tims_buf_print(line, "{\"time\":\"%S\",\"level\":\"%s\",\"room\":\"%s\"", time, names[level], room);
    if (current_scope != NULL) {
        tims_buf_append_str(line, TIMS_STR(",\"scope\":\""));
        append_escaped(line, tims_str_from(current_scope), true);
        tims_buf_append_char(line, '"');
    }
    tims_buf_append_str(line, TIMS_STR(",\"message\":\""));
    append_escaped(line, text, true);
    tims_buf_append_str(line, TIMS_STR("\"}"));
}

void tims_log(tims_log_level level, const char *room, const char *format, ...)
{
    if (!tims_log_enabled(level))
        return;
    tims_buf text, line;
    tims_buf_init(&text, NULL, LINE_BYTES_MAX);
    tims_buf_init(&line, NULL, 6 * LINE_BYTES_MAX + 512);
    va_list arguments;
    va_start(arguments, format);
    tims_buf_print_v(&text, format, arguments);
    va_end(arguments);
    char time[TIMS_TIME_TEXT_LENGTH];
    tims_time_format(tims_now(), time);
    (log_settings.format == TIMS_LOG_JSON ? append_json : append_human)(
        &line, (tims_str){ time, sizeof time }, level, room, tims_buf_str(&text));
    tims_buf_append_char(&line, '\n');
    tims_log_flush(); /* in order with the gathered lines */
    write_all(line.data, line.length);
    tims_buf_free(&text);
    tims_buf_free(&line);
}

void tims_log_append_line(tims_str line)
{
    if (line.length > GATHERED_BYTES_MAX - gathered.length)
        tims_log_flush();
    if (line.length > GATHERED_BYTES_MAX)
        write_all(line.data, line.length);
    else
        tims_buf_append_str(&gathered, line);
}

void tims_log_flush(void)
{
    if (gathered.length == 0)
        return;
    write_all(gathered.data, gathered.length);
    gathered.length = 0;
}

void tims_log_close_thread(void)
{
    tims_log_flush();
    tims_buf_free(&gathered);
}
