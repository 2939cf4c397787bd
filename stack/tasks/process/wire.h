/* wire.h: what a worker and the processes of its blocking tasks say to each other: frames of a
 * length, a letter and JSON. */
#ifndef TASKS_PROCESS_WIRE_H
#define TASKS_PROCESS_WIRE_H

#include "tasks/tasks_internal.h"

enum {
    TASKS__FRAME_HEAD_BYTES = 5,
    TASKS__JOB_FRAME_MAX = 64 * 1024 * 1024, /* to a process */
    TASKS__SAID_FRAME_MAX = 8 * 1024 * 1024, /* from one: a result of 1 MiB, escaped at worst */
    TASKS__CODE_BYTES_MAX = 200,
    TASKS__MESSAGE_BYTES_MAX = 8000,
};

/* The letter of a frame. */
enum {
    TASKS__SAYS_JOB = 'j',      /* worker: do this */
    TASKS__SAYS_STOP = 's',     /* worker: it had better end soon */
    TASKS__SAYS_HELLO = 'h',    /* process: I am here */
    TASKS__SAYS_PROGRESS = 'p', /* process: so far */
    TASKS__SAYS_END = 'e',      /* process: that is how it ended */
};

typedef enum tasks__frame_state {
    TASKS__FRAME_WHOLE,
    TASKS__FRAME_PART,
    TASKS__FRAME_BAD
} tasks__frame_state;

typedef struct tasks__frame {
    char letter;
    tims_str body;
    size_t bytes; /* all of it */
} tasks__frame;

/* The first frame of what has come so far; its body points into it. */
tasks__frame_state tasks__frame_read(tims_str bytes, size_t body_max, tasks__frame *ret_frame);
/* Around the body: begin reserves the head, end fills it in. One frame per buffer. */
void tasks__frame_begin(tims_buf *out, char letter);
void tasks__frame_end(tims_buf *out);

/* What a process is given: the job; whose it is, and the store's clock against this machine's. */
typedef struct tasks__assignment {
    tasks__job job;
    tims_id worker;
    int64_t clock_us;
} tasks__assignment;
void tasks__assignment_write(tims_buf *out, const tasks__assignment *assignment);
/* Texts are in the arena. */
tims_status tasks__assignment_read(tims_arena *arena, tims_str body, tasks__assignment *ret_assignment,
                                   tims_error *err);

void tasks__hello_write(tims_buf *out, int64_t pid);
tims_status tasks__hello_read(tims_arena *arena, tims_str body, int64_t *ret_pid, tims_error *err);

void tasks__progress_write(tims_buf *out, double fraction, tims_str text);
tims_status tasks__progress_read(tims_arena *arena, tims_str body, double *ret_fraction, tims_str *ret_text,
                                 tims_error *err);

/* Of the outcome what a process knows: not the job. */
void tasks__end_write(tims_buf *out, const tasks__outcome *outcome);
/* `ret_outcome` keeps its job; its texts are in its own arena. */
tims_status tasks__end_read(tims_arena *arena, tims_str body, tasks__outcome *ret_outcome, tims_error *err);

#endif
