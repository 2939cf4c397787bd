/* job.c: what a session wants of the engine: a message from its loop to the engine's. */
#include "live/live_internal.h"

char *live__keep(tims_str text)
{
    char *kept = malloc(text.length + 1);
    TIMS_ASSERT(kept != NULL);
    if (text.length > 0)
        memcpy(kept, text.data, text.length);
    return kept;
}

live__job *live__job_new(live__job_kind kind, const live__session *session, tims_str url, tims_str text)
{
    live__job *job = calloc(1, sizeof *job);
    TIMS_ASSERT(job != NULL);
    job->kind = kind;
    job->hub = session->hub;
    job->live = session->hub->live;
    job->session = session->serial;
    job->url_length = url.length;
    job->text_length = text.length;
    job->url = url.length > 0 ? live__keep(url) : NULL;
    job->text = text.length > 0 ? live__keep(text) : NULL;
    return job;
}

void live__job_free(live__job **job)
{
    live__job *old = *job;
    *job = NULL;
    if (old == NULL)
        return;
    free(old->url);
    free(old->text);
    free(old);
}

/* --- on its way ------------------------------------------------------------------------------- */

static void receive_job(void *argument)
{
    live__job *job = argument;
    tims_live *live = job->live;
    if (live->feed.fiber == NULL) {
        live__job_free(&job);
        return;
    }
    live__engine_receive(&live->engine, job);
    live__feed_wake(&live->feed);
}

void live__job_post(live__job *job)
{
    tims_live *live = job->live;
    if (live->feed.fiber != NULL && live->feed.loop == tims_loop_self()) {
        receive_job(job);
        return;
    }
    pthread_mutex_lock(&live->mutex);
    tims_loop *loop = live->feed.loop;
    if (loop != NULL)
        tims_loop_post(loop, receive_job, job);
    pthread_mutex_unlock(&live->mutex);
    if (loop == NULL)
        live__job_free(&job);
}
