/* model.c: the devices that want to be told. */
#include "push/push_internal.h"

/* The token is what the service knows the device by: whoever has it and the app's key could send to it, so it
 * is told to nobody. `login` makes the device go when the session does, whoever ends it. */
const tims_model tims_push_device_model = {
    .name = "tims_push_device",
    .doc = "A device that is sent notifications.",
    .size = sizeof(tims_push_device),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tims_push_device, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(tims_push_device, user, .to = &tims_user_model, .index = true, .hidden = true,
                   .doc = "Whose device it is."),
        TIMS_FIELD(tims_push_device, login, .to = &tims_auth_session_model, .index = true, .hidden = true,
                   .doc = "The session it was registered in, and goes with."),
        TIMS_FIELD(tims_push_device, platform, .max_length = PUSH__PLATFORM_BYTES_MAX,
                   .doc = "What carries it: fcm, apns or one of the app's own."),
        TIMS_FIELD(tims_push_device, token, .hidden = true, .max_length = TIMS_PUSH_TOKEN_BYTES_MAX,
                   .doc = "What the service knows it by."),
        TIMS_FIELD(tims_push_device, app_version, .max_length = 40, .doc = "As the app said; may be empty."),
        TIMS_FIELD(tims_push_device, locale, .max_length = 35,
                   .doc = "The language it is used in; may be empty."),
        TIMS_FIELD(tims_push_device, created_at, .doc = "When this user first registered it."),
        TIMS_FIELD(tims_push_device, last_used_at, .doc = "When the app last registered it.")),
    .indexes = TIMS_INDEXES(TIMS_UNIQUE("platform", "token")),
    .read = TIMS_OWNER(tims_push_device, user),
    .remove = TIMS_OWNER(tims_push_device, user),
    .order = "-last_used_at",
};

const tims_model *const tims_push_models[] = { &tims_push_device_model, NULL };

const tims_resource tims_push_resources[] = {
    { .path = "/api/push/devices/",
      .model = &tims_push_device_model,
      .allow = TIMS_LIST | TIMS_READ | TIMS_DELETE,
      .doc = "The devices on which I am told." },
    { 0 },
};
