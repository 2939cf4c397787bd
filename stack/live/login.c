/* login.c: who a socket is, as auth tells it: at its greeting, when it brings a fresh token, and until the
 * user's row or the login's changes so that it no longer holds. Then the socket is closed, and told nothing
 * of the step that ended it. */
#include "live/live_internal.h"

static tims_status find_by_token(live__step *step, tims_str token, tims_caller *ret_caller,
                                 tims_opt_id *ret_login)
{
    tims_id login;
    if (step->live->auth == NULL)
        return TIMS_UNAUTHORIZED;
    tims_status status = tims_auth_by_token(step->rq, step->live->auth, token, ret_caller, &login);
    if (status == TIMS_OK)
        *ret_login = (tims_opt_id){ true, login };
    return status;
}

tims_opt_id live__login_of(tims_request *rq)
{
    return tims_auth_session_of(rq);
}

/* --- as long as it holds ----------------------------------------------------------------------- */

void live__login_unhook(live__engine *engine, live__client *client)
{
    if (client->user_hook.topic != NULL)
        live__online_note(engine->live, &client->user_hook, client->caller.user, false);
    live__topics_remove(engine->topics, &client->user_hook);
    live__topics_remove(engine->topics, &client->login_hook);
}

static void hook(live__engine *engine, live__client *client)
{
    char id[TIMS_ID_TEXT_LENGTH];
    live__login_unhook(engine, client);
    if (client->caller.signed_in) {
        client->user_hook = (live__hook){ .owner = client, .kind = LIVE__HOOK_LOGIN };
        tims_id_format(client->caller.user, id);
        live__topics_add(engine->topics, &client->user_hook, &tims_user_model,
                         tims_model_primary(&tims_user_model), (tims_str){ id, sizeof id });
        live__online_note(engine->live, &client->user_hook, client->caller.user, true);
    }
    if (client->login.present) {
        client->login_hook = (live__hook){ .owner = client, .kind = LIVE__HOOK_LOGIN };
        tims_id_format(client->login.value, id);
        live__topics_add(engine->topics, &client->login_hook, &tims_auth_session_model,
                         tims_model_primary(&tims_auth_session_model), (tims_str){ id, sizeof id });
    }
}

static void end(live__engine *engine, const live__client *client)
{
    live__client_close(engine, client, LIVE__CLOSE_SESSION, "session_ended");
}

static void *find_row(live__step *step, const tims_model *model, tims_id id)
{
    tims_query query;
    void *row = NULL;
    tims_error err = { 0 };
    tims_query_init(&query, model, (tims_caller){ .trusted = true });
    query.conditions[query.condition_count++] = (tims_condition){ .field = tims_model_primary(model),
                                                                  .operator= TIMS_EQUAL,
                                                                  .value = tims_db_id(id) };
    tims_status status = tims_model_find(step->db, step->rq->arena, &query, &row, &err);
    if (status != TIMS_OK && status != TIMS_NOT_FOUND)
        tims_raise_error(step->rq, &err);
    return row;
}

/* In the step's snapshot: what ended before the hooks hung was told to nobody. */
static bool holds(live__step *step, const live__client *client)
{
    if (!client->caller.signed_in)
        return true;
    const tims_user *user = find_row(step, &tims_user_model, client->caller.user);
    return user != NULL && user->active && user->staff == client->caller.staff &&
           (!client->login.present || find_row(step, &tims_auth_session_model, client->login.value) != NULL);
}

void live__login_check_again(live__step *step, const live__client *client)
{
    if (!holds(step, client))
        end(step->engine, client);
}

void live__login_check(live__engine *engine, live__client *client, const live__change *change)
{
    TIMS_CHECK_MAGIC(client, LIVE__CLIENT_MAGIC);
    bool ends = change->row == NULL;
    if (change->model == &tims_user_model && !ends) {
        const tims_user *user = change->row;
        ends = !user->active || user->staff != client->caller.staff;
    }
    if (ends)
        end(engine, client);
}

static void welcome(live__step *step, live__client *client)
{
    live__item item = {
        .kind = LIVE__ITEM_WELCOME, .session = client->session, .caller = client->caller, .answers = true
    };
    (void)live__deliver(step->engine, client->hub, item);
}

/* --- greetings --------------------------------------------------------------------------------- */

static void refuse(live__engine *engine, const live__client *client, const char *message)
{
    live__client_refuse_frame(engine, client, TIMS_UNAUTHORIZED, "unauthorized", message);
    end(engine, client);
}

void live__login_greet(live__step *step, live__client *client, const live__job *job)
{
    bool by_token = job->text_length > 0;
    client->caller = job->caller;
    client->login = job->login;
    if (by_token && find_by_token(step, (tims_str){ job->text, job->text_length }, &client->caller,
                                  &client->login) != TIMS_OK) {
        refuse(step->engine, client, "This token is not valid.");
        return;
    }
    if (!by_token && !holds(step, client)) {
        refuse(step->engine, client, "This session has ended.");
        return;
    }
    hook(step->engine, client);
    if (live__topics_crowd(&client->user_hook) > step->live->options.sockets_per_user_max) {
        live__client_close(step->engine, client, LIVE__CLOSE_TOO_MANY, "too_many");
        return;
    }
    client->is_welcomed = true;
    welcome(step, client);
}

/* A fresh token on an open socket: of the same user, or not at all. */
void live__login_renew(live__step *step, live__client *client, const live__job *job)
{
    tims_caller caller;
    tims_opt_id login;
    if (find_by_token(step, (tims_str){ job->text, job->text_length }, &caller, &login) != TIMS_OK) {
        refuse(step->engine, client, "This token is not valid.");
    } else if (!client->caller.signed_in || !tims_same_id(caller.user, client->caller.user) ||
               caller.staff != client->caller.staff) {
        live__client_refuse_frame(step->engine, client, TIMS_CONFLICT, "other_user",
                                  "This token is somebody else's.");
    } else {
        client->login = login;
        hook(step->engine, client);
        welcome(step, client);
    }
}
