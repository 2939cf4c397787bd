/* settings.c: typed values from the environment and a .env file, by a table.
 *
 * The table is the documentation: names, kinds, bounds, defaults. All problems are reported at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tims/base.h"

enum { ENV_FILE_BYTES_MAX = 64 * 1024 };

typedef struct env_file {
    tims_str text;
} env_file;

static tims_status read_env_file(tims_arena *arena, const char *path, env_file *ret_file, tims_buf *problems)
{
    *ret_file = (env_file){ { NULL, 0 } };
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    if (file == NULL) {
        if (path == NULL || errno == ENOENT)
            return TIMS_OK;
        tims_buf_print(problems, "%s: cannot be read: %s\n", path, strerror(errno));
        return TIMS_INVALID;
    }
    char *data = tims_alloc_raw(arena, ENV_FILE_BYTES_MAX);
    size_t length = fread(data, 1, ENV_FILE_BYTES_MAX, file);
    bool whole = length < ENV_FILE_BYTES_MAX;
    (void)fclose(file);
    if (!whole) {
        tims_buf_print(problems, "%s: larger than %d bytes\n", path, (int)ENV_FILE_BYTES_MAX);
        return TIMS_INVALID;
    }
    ret_file->text = (tims_str){ data, length };
    return TIMS_OK;
}

static tims_str unquote(tims_str value)
{
    bool quoted = value.length >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
                  value.data[value.length - 1] == value.data[0];
    return quoted ? tims_str_slice(value, 1, value.length - 1) : value;
}

/* The last line NAME=value of the file; comments and `export ` are fine. data == NULL when absent. */
static tims_str find_in_file(const env_file *file, tims_str name)
{
    tims_str found = { NULL, 0 }, rest = file->text;
    while (rest.data != NULL) {
        tims_str line = tims_str_trim(tims_str_cut(&rest, '\n'));
        if (tims_str_starts_with(line, TIMS_STR("export ")))
            line = tims_str_trim(tims_str_slice(line, 7, line.length));
        if (line.length == 0 || line.data[0] == '#')
            continue;
        tims_str key = tims_str_trim(tims_str_cut(&line, '='));
        if (line.data != NULL && tims_str_equal(key, name))
            found = unquote(tims_str_trim(line));
    }
    return found;
}

typedef struct unit {
    const char *suffix;
    int64_t factor;
} unit;
static const unit byte_units[] = {
    { "k", 1024 }, { "m", 1024 * 1024 }, { "g", 1024 * 1024 * 1024 }, { "", 1 }
};
static const unit time_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
};

/* A whole number with one of the units; a bare 0 needs none. */
static bool read_with_unit(tims_str text, const unit *units, size_t count, int64_t *ret_value)
{
    for (size_t i = 0; i < count; i++) {
        tims_str suffix = tims_str_from(units[i].suffix);
        int64_t number;
        if (tims_str_ends_with(text, suffix) &&
            tims_str_to_int(tims_str_slice(text, 0, text.length - suffix.length), 0,
                            INT64_MAX / units[i].factor, &number)) {
            *ret_value = number * units[i].factor;
            return true;
        }
    }
    return tims_str_equal(text, TIMS_STR("0")) ? (*ret_value = 0, true) : false;
}

static bool read_number(const tims_setting *row, tims_str text, int64_t *ret_value)
{
    int64_t value;
    bool read = row->kind == TIMS_SETTING_INT     ? tims_str_to_int(text, INT64_MIN, INT64_MAX, &value)
                : row->kind == TIMS_SETTING_BYTES ? read_with_unit(text, byte_units, 4, &value)
                                                  : read_with_unit(text, time_units, 5, &value);
    if (!read || ((row->min != 0 || row->max != 0) && (value < row->min || value > row->max)))
        return false;
    *ret_value = value;
    return true;
}

static const char *const words_for_true[] = { "1", "true", "yes", "on" };
static const char *const words_for_false[] = { "0", "false", "no", "off" };

static bool read_bool(tims_str text, bool *ret_value)
{
    bool yes = tims_names_contain((tims_names){ words_for_true, 4 }, text);
    if (!yes && !tims_names_contain((tims_names){ words_for_false, 4 }, text))
        return false;
    *ret_value = yes;
    return true;
}

static bool read_value(tims_arena *arena, const tims_setting *row, tims_str text, char *settings)
{
    void *member = settings + row->offset;
    if (row->kind == TIMS_SETTING_BOOL)
        return read_bool(text, member);
    if (row->kind != TIMS_SETTING_STR)
        return read_number(row, text, member);
    if ((row->choices.count > 0 && !tims_names_contain(row->choices, text)) || !tims_str_is_utf8(text))
        return false;
    tims_str copy = tims_copy(arena, text);
    memcpy(member, &copy, sizeof copy);
    return true;
}

static const char *expectation(const tims_setting *row)
{
    static const char *const texts[] = { [TIMS_SETTING_STR] = "text",
                                         [TIMS_SETTING_INT] = "a whole number",
                                         [TIMS_SETTING_BOOL] = "true or false",
                                         [TIMS_SETTING_BYTES] = "a size such as 64k or 10m",
                                         [TIMS_SETTING_MS] = "a duration such as 500ms, 5s or 2m" };
    return texts[row->kind];
}

static void report(const tims_setting *row, tims_str text, tims_buf *problems)
{
    if (row->secret)
        tims_buf_print(problems, "%s: the value given (a secret) cannot be used", row->name);
    else
        tims_buf_print(problems, "%s: \"%S\" cannot be used", row->name, text);
    tims_buf_print(problems, "; it must be %s", expectation(row));
    if (row->min != 0 || row->max != 0)
        tims_buf_print(problems, " from %lld to %lld", (long long)row->min, (long long)row->max);
    for (size_t i = 0; i < row->choices.count; i++)
        tims_buf_print(problems, "%s%s", i == 0 ? ": " : ", ", row->choices.items[i]);
    tims_buf_print(problems, " (%s)\n", row->doc);
}

tims_status tims_settings_load(tims_arena *arena, const tims_setting *table, size_t count,
                               const char *env_path, void *ret_settings, tims_buf *problems)
{
    env_file file;
    tims_status status = read_env_file(arena, env_path, &file, problems);
    for (size_t i = 0; i < count; i++) {
        const tims_setting *row = &table[i];
        tims_str text = tims_str_from(getenv(row->name));
        if (text.data == NULL)
            text = find_in_file(&file, tims_str_from(row->name));
        if (text.data == NULL)
            text = tims_str_from(row->default_value);
        if (text.data == NULL) {
            tims_buf_print(problems, "%s: must be set (%s)\n", row->name, row->doc);
            status = TIMS_INVALID;
        } else if (!read_value(arena, row, text, ret_settings)) {
            report(row, text, problems);
            status = TIMS_INVALID;
        }
    }
    return status;
}

static void describe_value(const tims_setting *row, const char *settings, tims_buf *out)
{
    const void *member = settings + row->offset;
    if (row->kind == TIMS_SETTING_STR) {
        const tims_str *text = member;
        if (row->secret)
            tims_buf_print(out, "%s", text->length > 0 ? "(set)" : "(not set)");
        else
            tims_buf_append_str(out, *text);
    } else if (row->kind == TIMS_SETTING_BOOL) {
        tims_buf_print(out, "%s", *(const bool *)member ? "true" : "false");
    } else {
        tims_buf_append_int(out, *(const int64_t *)member);
        tims_buf_print(out, "%s",
                       row->kind == TIMS_SETTING_MS      ? " ms"
                       : row->kind == TIMS_SETTING_BYTES ? " bytes"
                                                         : "");
    }
}

void tims_settings_describe(const tims_setting *table, size_t count, const void *settings, tims_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        tims_buf_print(out, "%-24s ", table[i].name);
        describe_value(&table[i], settings, out);
        tims_buf_print(out, "\n%-24s   %s (default: %s)\n", "", table[i].doc,
                       table[i].default_value != NULL && table[i].default_value[0] != '\0'
                           ? table[i].default_value
                           : "none");
    }
}
