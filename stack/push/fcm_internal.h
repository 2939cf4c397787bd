/* fcm_internal.h: how fcm.c comes by a token. */
#ifndef PUSH_FCM_INTERNAL_H
#define PUSH_FCM_INTERNAL_H

#include "push/push_internal.h"

/* An access token that still holds for a while, in the request's arena. One fiber fetches, the others wait
 * for it. False: there is none, and the answer says why. Suspends. */
bool push__fcm_token(tims_request *rq, push__loop *own, const push__fcm *fcm, tims_str *ret_token,
                     tims_push_answer *ret_answer);
/* FCM did not take this one; another may be there already. */
void push__fcm_forget_token(push__loop *own, tims_str token);
/* The token of an answer of the token service, and for how long it holds. False: `ret_answer` says why. */
bool push__fcm_read_token(tims_arena *arena, const push__reply *reply, tims_str *ret_token,
                          int64_t *ret_lives_s, tims_push_answer *ret_answer);

#endif
