/* api_internal.h: jobs over HTTP, in three files: the tables (api.c), lists that are computed (lists.c),
 * and what is done about jobs (actions.c). */
#ifndef TASKS_API_INTERNAL_H
#define TASKS_API_INTERNAL_H

#include "tasks/tasks_internal.h"

/* Lists of at most fifty jobs as they are in tims_job, the first of which is the next to move. */
void tasks__write_running(tims_request *rq, tims_json_writer *w);
void tasks__write_waiting(tims_request *rq, tims_json_writer *w);
void tasks__write_scheduled(tims_request *rq, tims_json_writer *w);

tims_answer tasks__answer_enqueue(tims_request *rq);
tims_answer tasks__answer_cancel(tims_request *rq);
tims_answer tasks__answer_pause_queue(tims_request *rq);
tims_answer tasks__answer_resume_queue(tims_request *rq);
tims_answer tasks__answer_pause_schedule(tims_request *rq);
tims_answer tasks__answer_resume_schedule(tims_request *rq);
tims_answer tasks__answer_retry_dead(tims_request *rq);
tims_answer tasks__answer_retry_many_dead(tims_request *rq);
tims_answer tasks__answer_remove_dead(tims_request *rq);

/* What the endpoints take. */
extern const tims_shape tasks__enqueue_shape, tasks__retry_shape;

#endif
