/* follower.c: tells who keeps what was read of each step, before anything else is done with it.
 *
 * What is kept is then never older than what a client is told, and who waits to subscribe in this step may
 * be served from it. If the step fails afterwards it is told again, which does no harm. */
#include "live/live_internal.h"

typedef struct telling {
    const tims_live_follower *follower;
    int64_t position;
} telling;

static void tell_topic(void *argument, const tims_topic *topic)
{
    const telling *t = argument;
    t->follower->touch(t->follower->argument, t->position, topic);
}

void live__follower_tell(const live__step *step)
{
    const tims_live_follower *follower = &step->live->options.follower;
    const live__batch *batch = step->batch;
    telling t = { follower, step->position };
    if (follower->reach == NULL)
        return;
    for (size_t i = 0; batch != NULL && i < batch->count; i++)
        live__change_topics(&batch->changes[i], tell_topic, &t);
    for (size_t i = 0; batch != NULL && i < batch->model_count; i++)
        if (batch->flood || batch->unnamed[i])
            follower->touch_model(follower->argument, step->position, batch->models[i]);
    follower->reach(follower->argument, step->position);
}

void live__follower_clear(const tims_live *live, int64_t position)
{
    const tims_live_follower *follower = &live->options.follower;
    if (follower->clear != NULL)
        follower->clear(follower->argument, position);
}
