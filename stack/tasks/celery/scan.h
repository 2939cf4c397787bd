/* scan.h: JSON as pieces of its text, for messages that come by the ten thousand: nothing is copied and
 * nothing allocated.
 *
 * It understands less than JSON on purpose: what it does not (escaped text where it is needed, large numbers,
 * many members, deep nesting) is told as "no", and whoever asks reads it the long way. What it says yes to is
 * what tims_json_parse would read. */
#ifndef TASKS_CELERY_SCAN_H
#define TASKS_CELERY_SCAN_H

#include "tims/base.h"

enum { CELERY__SCAN_MEMBERS = 40, CELERY__SCAN_BYTES_MAX = 128 * 1024 };

typedef struct celery__member {
    tims_str key, value; /* the value as it stands there, without space around it */
} celery__member;

typedef struct celery__scan {
    celery__member members[CELERY__SCAN_MEMBERS]; /* of an array: without keys */
    size_t count;
} celery__scan;

/* One object, or array, and nothing behind it. */
bool celery__scan_object(tims_str text, celery__scan *ret_scan);
bool celery__scan_array(tims_str text, celery__scan *ret_scan);
/* NULL: absent, or null. */
const celery__member *celery__scan_get(const celery__scan *scan, tims_str key);
/* A member's value. Absent or null: true, and the value is left alone. False: of another type, or not so
 * plain. */
bool celery__scan_str(const celery__scan *scan, tims_str key, tims_str *value);
bool celery__scan_int(const celery__scan *scan, tims_str key, int64_t *value);
bool celery__scan_bool(const celery__scan *scan, tims_str key, bool *value);
bool celery__scan_opt_str(const celery__scan *scan, tims_str key, tims_opt_str *value);

#endif
