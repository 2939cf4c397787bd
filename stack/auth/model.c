/* model: users, their sessions and device tokens, their pictures, and the process's signing key. */
#include "auth/auth_internal.h"

const tims_model tims_user_model = {
    .name = "user",
    .doc = "A person who can sign in, as others see them.",
    .size = sizeof(tims_user),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(tims_user, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(tims_user, username, .index = true, .read_only = true, .max_length = AUTH__USERNAME_MAX,
                   .doc = "The name to sign in with, as it was chosen."),
        TIMS_FIELD(tims_user, username_key, .unique = true, .hidden = true, .max_length = AUTH__USERNAME_MAX,
                   .doc = "The name in lower case: two names may not differ in case only."),
        TIMS_FIELD(tims_user, email, .hidden = true, .format = "email", .max_length = 254,
                   .doc = "Seen by the person alone."),
        TIMS_FIELD(tims_user, display_name, .max_length = 60, .doc = "The name that others see."),
        TIMS_FIELD(tims_user, avatar, .read_only = true, .max_length = 200,
                   .doc = "Where the picture is, or empty."),
        TIMS_FIELD(tims_user, password, .hidden = true, .max_length = TIMS_PASSWORD_HASH_MAX,
                   .doc = "argon2id."),
        TIMS_FIELD(tims_user, staff, .read_only = true, .doc = "May use the administration."),
        TIMS_FIELD(tims_user, active, .hidden = true, .doc = "May sign in."),
        TIMS_FIELD(tims_user, created_at, .auto_now_add = true, .doc = "When the account was made.")),
    .read = TIMS_SIGNED_IN,
    .order = "username",
    .search = TIMS_NAMES("username", "display_name"),
};

/* Live, so that the feed evicts what loops remember of a session, whoever ended it; readable by nobody. */
const tims_model tims_auth_session_model = {
    .name = "auth_session",
    .doc = "A signed-in browser or device. The token itself is known to its holder only.",
    .size = sizeof(auth__session_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(auth__session_row, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(auth__session_row, token_hash, .unique = true, .hidden = true,
                   .max_length = TIMS_TOKEN_HASH_TEXT_LENGTH, .doc = "BLAKE2b of the token."),
        TIMS_FIELD(auth__session_row, next_hash, .unique = true, .hidden = true,
                   .max_length = TIMS_TOKEN_HASH_TEXT_LENGTH,
                   .doc = "Of the token that takes its place as soon as it is used."),
        TIMS_FIELD(auth__session_row, user, .to = &tims_user_model, .index = true,
                   .doc = "Who is signed in."),
        TIMS_FIELD(auth__session_row, device, .doc = "A bearer token of a device, not a browser's cookie."),
        TIMS_FIELD(auth__session_row, label, .max_length = 100, .doc = "What the holder says it is."),
        TIMS_FIELD(auth__session_row, created_at, .doc = "When it was made."),
        TIMS_FIELD(auth__session_row, expires_at, .index = true, .doc = "When it ends in any case."),
        TIMS_FIELD(auth__session_row, last_used_at, .doc = "When it was last used, within five minutes.")),
};

const tims_model auth__avatar_model = {
    .name = "auth_avatar",
    .doc = "A person's picture.",
    .size = sizeof(auth__avatar_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(auth__avatar_row, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(auth__avatar_row, user, .to = &tims_user_model, .unique = true, .doc = "Whose picture."),
        TIMS_FIELD(auth__avatar_row, content_type, .max_length = 20,
                   .doc = "image/png, image/jpeg or image/webp."),
        TIMS_FIELD(auth__avatar_row, hash, .max_length = 32, .doc = "Of the content; its ETag."),
        TIMS_FIELD(auth__avatar_row, data, .hidden = true, .max_length = 2 * AUTH__AVATAR_BYTES_MAX,
                   .doc = "The file, base64url."),
        TIMS_FIELD(auth__avatar_row, created_at, .auto_now_add = true, .doc = "When it was sent.")),
    .not_live = true,
};

const tims_model auth__key_model = {
    .name = "auth_key",
    .doc = "Secrets that all processes of one database share.",
    .size = sizeof(auth__key_row),
    .fields = TIMS_FIELDS(
        TIMS_FIELD(auth__key_row, id, .primary = true, .doc = "Made by the server."),
        TIMS_FIELD(auth__key_row, name, .unique = true, .max_length = 40, .doc = "What it is for."),
        TIMS_FIELD(auth__key_row, secret, .hidden = true, .max_length = 100, .doc = "Random."),
        TIMS_FIELD(auth__key_row, created_at, .auto_now_add = true, .doc = "When it was made.")),
    .not_live = true,
};

const tims_model *const tims_auth_models[] = { &tims_user_model, &tims_auth_session_model,
                                               &auth__avatar_model, &auth__key_model, NULL };

const char tims_access_signed_in[] = "signed_in";
const char tims_access_staff[] = "staff";
