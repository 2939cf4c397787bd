/* input: the account endpoints take JSON from programs and plain forms from pages without JavaScript.
 *
 * A form is answered with a redirect: to `next` when all went well, else back to the form with ?error=code.
 * Where a redirect may lead is decided here: to paths of this site and nowhere else. */
#include "auth/auth_internal.h"

/* --- reading ----------------------------------------------------------------------------------------- */

static tims_status read_form(tims_request *rq, tims_fields fields, auth__input *input, tims_error *err)
{
    tims_pairs pairs = tims_body_form(rq);
    tims_status status = TIMS_OK;
    for (size_t i = 0; i < fields.count; i++) {
        const tims_field *field = &fields.items[i];
        tims_str value = tims_pairs_get(pairs, tims_str_from(field->name));
        if (value.data == NULL)
            value = TIMS_STR("");
        if (tims_bind_text(rq->arena, field, value, input, err) != TIMS_OK)
            status = TIMS_INVALID;
    }
    return status;
}

tims_status auth__input_read(tims_request *rq, tims_fields fields, auth__input *ret_input, tims_error *err)
{
    *ret_input = (auth__input){ .is_form = auth__is_form(rq) };
    if (ret_input->is_form)
        return read_form(rq, fields, ret_input, err);
    return tims_json_bind(rq->arena, tims_body_json(rq), fields, TIMS_BIND_CREATE, ret_input, NULL, err);
}

/* --- where to go ------------------------------------------------------------------------------------- */

/* "/chats?x=1", but neither "//other.site" nor "/\other.site" nor anything with a control byte. */
bool auth__is_local_path(tims_str path)
{
    if (path.length == 0 || path.length > 1000 || path.data[0] != '/')
        return false;
    if (path.length > 1 && path.data[1] == '/')
        return false;
    for (size_t i = 0; i < path.length; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '\\')
            return false;
    }
    return true;
}

static tims_answer redirect_back(tims_request *rq, const auth__input *input, const char *page,
                                 const char *code)
{
    tims_str target = tims_print(rq->arena, "%s?error=%s", page, code);
    if (auth__is_local_path(input->next))
        target = tims_print(rq->arena, "%S&next=%S", target, tims_url_encode(rq->arena, input->next));
    return tims_answer_redirect(rq, 303, target);
}

/* --- answering --------------------------------------------------------------------------------------- */

tims_answer auth__answer_failure(tims_request *rq, const auth__input *input, const char *page,
                                 const tims_error *err)
{
    if (!input->is_form)
        tims_raise_error(rq, err);
    tims_rollback(rq);
    const char *code = err->fields != NULL ? err->fields->code : err->code;
    return redirect_back(rq, input, page, code);
}

void tims_user_write(tims_json_writer *w, const tims_user *user)
{
    tims_json_begin_object(w);
    tims_json_key(w, TIMS_STR("id"));
    tims_json_id(w, user->id);
    tims_json_key(w, TIMS_STR("username"));
    tims_json_str(w, user->username);
    tims_json_key(w, TIMS_STR("display_name"));
    tims_json_str(w, user->display_name);
    tims_json_key(w, TIMS_STR("avatar"));
    tims_json_str(w, user->avatar);
    tims_json_key(w, TIMS_STR("email"));
    if (user->email.present)
        tims_json_str(w, user->email.value);
    else
        tims_json_null(w);
    tims_json_key(w, TIMS_STR("staff"));
    tims_json_bool(w, user->staff);
    tims_json_end_object(w);
}

/* The only time that it is told. */
static void write_fresh_token(tims_json_writer *w, const auth__state *state)
{
    if (state->fresh_token.data == NULL)
        return;
    tims_json_key(w, TIMS_STR("token"));
    tims_json_str(w, state->fresh_token);
    tims_json_key(w, TIMS_STR("expires_in_s"));
    tims_json_int(w, auth__token_life_s(state->auth));
}

tims_answer auth__answer_who(tims_request *rq, const auth__input *input, int status)
{
    if (input != NULL && input->is_form)
        return tims_answer_redirect(rq, 303, auth__is_local_path(input->next) ? input->next : TIMS_STR("/"));
    tims_buf out;
    tims_buf_init(&out, rq->arena, 64 * 1024);
    tims_json_writer w = tims_json_to(&out);
    tims_json_begin_object(&w);
    tims_json_key(&w, TIMS_STR("user"));
    if (tims_is_signed_in(rq))
        tims_user_write(&w, tims_current_user(rq));
    else
        tims_json_null(&w);
    tims_json_key(&w, TIMS_STR("csrf"));
    tims_json_str(&w, tims_csrf_token(rq));
    write_fresh_token(&w, auth__state_of(rq));
    tims_json_end_object(&w);
    tims_csrf_cookie(rq);
    tims_set_header(rq, TIMS_STR("Cache-Control"), TIMS_STR("no-store"));
    return tims_answer_json(status, tims_buf_str(&out));
}
