/* login.c: who a socket is, as auth tells it. */
#include "live/live_internal.h"

tims_status live__login_by_token(live__step *step, tims_str token, tims_caller *ret_caller,
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
