/* call.c: a statement that somebody waits for, from being asked to being answered.
 *
 * A call lives in its session, so whoever stops waiting takes it out of where it was sent; the answer is
 * dropped when it comes, and nobody else ever sees it. */
#include "postgres_internal.h"

#include <stdlib.h>

static void leave_entries(postgres__call *call)
{
    postgres__connection *connection = call->connection;
    for (uint32_t i = 0; i < connection->entry_count; i++)
        if (postgres__entry_at(connection, i)->call == call)
            postgres__entry_at(connection, i)->call = NULL;
    call->connection = NULL;
}

void postgres__call_finish(postgres__call *call)
{
    if (call->connection != NULL)
        leave_entries(call);
    call->state = POSTGRES_CALL_DONE;
    if (call->fiber != NULL)
        tims_fiber_wake(call->fiber);
}

/* A few times: it is not its own fault. */
bool postgres__call_may_try_again(postgres__call *call)
{
    enum { ATTEMPTS_MAX = 5 };
    return call->plain && call->attempts++ < ATTEMPTS_MAX;
}

bool postgres__call_try_again(postgres__call *call)
{
    if (!postgres__call_may_try_again(call))
        return false;
    call->again = true;
    postgres__call_finish(call);
    return true;
}

void postgres__call_lose(postgres__call *call)
{
    enum { LOST_MAX = 2 };
    if (call->result != NULL) { /* a commit whose position is missing */
        postgres__call_finish(call);
        return;
    }
    call->lost_count++;
    if (call->lost_count < LOST_MAX && postgres__call_try_again(call))
        return;
    call->status = TIMS_UNAVAILABLE;
    postgres__call_finish(call);
}

void postgres__call_detach(postgres__call *call)
{
    if (call->state == POSTGRES_CALL_SENT)
        leave_entries(call);
    call->state = POSTGRES_CALL_NONE;
}

void postgres__call_leave_statement(postgres__call *call)
{
    if (call->statement != NULL)
        postgres__statement_release(call->statement);
    call->statement = NULL;
}

void postgres__call_renew(postgres__call *call)
{
    PQclear(call->result);
    call->result = NULL;
    call->status = TIMS_OK;
    call->stale = false;
    call->state = POSTGRES_CALL_NONE;
    postgres__call_leave_statement(call);
}

void postgres__call_reset(postgres__call *call)
{
    TIMS_ASSERT(call->state == POSTGRES_CALL_NONE || call->state == POSTGRES_CALL_DONE);
    postgres__call_leave_statement(call);
    PQclear(call->result);
    postgres__position_release(&call->position);
    *call = (postgres__call){ .fiber = call->fiber };
}

void postgres__position_release(postgres__position **pointer)
{
    postgres__position *position = *pointer;
    *pointer = NULL;
    if (position == NULL || --position->users > 0)
        return;
    PQclear(position->result);
    free(position);
}

tims_str postgres__position_text(const postgres__position *position)
{
    return (tims_str){ PQgetvalue(position->result, 0, 0), (size_t)PQgetlength(position->result, 0, 0) };
}
