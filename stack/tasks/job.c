/* job.c: a job in memory: one block, so that thousands of them cost one allocation each. */
#include <stdlib.h>
#include <string.h>

#include "tasks/tasks_internal.h"

enum { SLICES = 10 };

/* Every text of a job, the absent ones too (data == NULL). */
static size_t list_texts(tasks__job *job, tims_str *ret_texts[SLICES])
{
    size_t count = 0;
    ret_texts[count++] = &job->task;
    ret_texts[count++] = &job->queue;
    ret_texts[count++] = &job->arguments;
    ret_texts[count++] = &job->key.value;
    ret_texts[count++] = &job->unique_key.value;
    ret_texts[count++] = &job->steps.value;
    ret_texts[count++] = &job->previous.value;
    ret_texts[count++] = &job->trace;
    return count;
}

tasks__job *tasks__job_copy(const tasks__job *job)
{
    tims_str *texts[SLICES];
    tasks__job from = *job;
    size_t count = list_texts(&from, texts), bytes = sizeof from;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i]->length;
    tasks__job *copy = malloc(bytes);
    TIMS_ASSERT(copy != NULL);
    *copy = from;
    char *at = (char *)(copy + 1);
    count = list_texts(copy, texts);
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->length > 0)
            memcpy(at, texts[i]->data, texts[i]->length);
        texts[i]->data = texts[i]->data != NULL ? at : NULL;
        at += texts[i]->length;
    }
    return copy;
}

void tasks__job_free(tasks__job **job)
{
    free(*job);
    *job = NULL;
}
