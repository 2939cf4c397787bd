/* push.c: what the settings say of notifications. */
#include "app/app_internal.h"

tims_status app__compose_push(app__stack *stack, tims_error *err)
{
    const app__settings *settings = &stack->settings;
    const tims_push_options options = { .senders = stack->project->push_senders,
                                        .fcm_account = settings->push_fcm_account,
                                        .fcm_url = settings->push_fcm_url,
                                        .apns_key = settings->push_apns_key,
                                        .apns_key_id = settings->push_apns_key_id,
                                        .apns_team = settings->push_apns_team,
                                        .apns_topic = settings->push_apns_topic,
                                        .apns_url = settings->push_apns_url,
                                        .ca = settings->push_ca };
    return tims_push_new(stack->arena, &options, &stack->push, err);
}
