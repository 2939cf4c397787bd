/* What is done beside requests: a chat becomes a text, and chats that everybody has left go. */
#include "chat/chat.h"

enum { STEP_MS = 100, TEXT_BYTES_MAX = 100 * 1024 };

/* --- a chat as a text ----------------------------------------------------------------------------------- */

typedef struct export_arguments {
    tims_id chat;
} export_arguments;

static void write_line(tims_request *rq, const message *m, tims_buf *out)
{
    char time[TIMS_TIME_TEXT_LENGTH];
    const tims_user *sender = tims_find(rq, &tims_user_model, m->sender);
    tims_time_format(m->created_at, time);
    tims_str name = sender != NULL ? sender->display_name : TIMS_STR("Somebody");
    tims_str mark = m->picture.present ? TIMS_STR("\xf0\x9f\x93\xb7 ") : TIMS_STR("");
    tims_buf_print(out, "%S %S: %S%S\n", (tims_str){ time, 16 }, name, mark, m->text); /* to the minute */
}

static void tell_result(tims_run *run, int64_t count, tims_str text)
{
    tims_buf out;
    tims_buf_init(&out, run->rq->arena, 6 * TEXT_BYTES_MAX + 100); /* six: what an escape may take */
    tims_buf_print(&out, "{\"messages\":%lld,\"text\":", (long long)count);
    tims_json_escape(&out, text);
    tims_buf_append_char(&out, '}');
    tims_result(run, tims_buf_str(&out));
}

static void export_chat(tims_run *run, const export_arguments *arguments)
{
    tims_buf text;
    tims_id last = { 0 };
    tims_request *rq = run->rq;
    int64_t done = 0, total = tims_count(rq, &message_model, "chat=%I", arguments->chat);
    tims_buf_init(&text, rq->arena, TEXT_BYTES_MAX);
    if (!tims_exists(rq, &member_model, "chat=%I&user=%I", arguments->chat, run->user))
        tims_give_up(run, "not_a_member", "Only who is in a chat can export it.");
    while (done < total && !text.overflow) {
        size_t count;
        const message *some = tims_select_all(rq, &message_model, &count,
                                              "chat=%I&id__gt=%I&order=id&limit=20", arguments->chat, last);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++)
            write_line(rq, &some[i], &text);
        last = some[count - 1].id;
        done += (int64_t)count;
        tims_progress(run, (double)done / (double)total, "%lld of %lld messages", (long long)done,
                      (long long)total);
        (void)tims_sleep_ms(STEP_MS); /* a demo: so that there is something to see */
        if (tims_should_stop(run))
            tims_hand_back(run);
    }
    tell_result(run, done, tims_buf_str(&text));
}

TIMS_TASK(export_chat, export_arguments,
          .fields = TIMS_FIELDS(TIMS_FIELD(export_arguments, chat, .required = true, .doc = "Which one.")),
          .doc = "A chat as a text, for one of its members.", .tracked = true, .keep_s = 3600);

/* Asked for twice at once, it is done once: both get the same job. */
tims_answer chat_export(tims_request *rq)
{
    const chat *c = tims_get(rq, &chat_model, tims_path_id(rq, "chat")); /* Raises: 404 */
    const tims_enqueue_options once = { .unique = tims_print(rq->arena, "%I %I", c->id, tims_user_id(rq)),
                                        .unique_while = TIMS_UNIQUE_UNFINISHED };
    tims_id job = tims_enqueue_with(rq, &export_chat_task, &(export_arguments){ c->id }, &once);
    return tims_answer_json(202, tims_print(rq->arena, "{\"id\":\"%I\"}", job));
}

/* --- every night ---------------------------------------------------------------------------------------- */

static void sweep_chats(tims_run *run, const void *arguments)
{
    (void)arguments;
    tims_sql_run(
        run->rq,
        TIMS_STR("DELETE FROM chat WHERE NOT EXISTS (SELECT 1 FROM member WHERE member.chat = chat.id)"),
        NULL, 0);
}

TIMS_TASK(sweep_chats, void, .doc = "Removes chats that everybody has left.");

/* ---------------------------------------------------------------------------------------------------------- */

const tims_task *const chat_tasks[] = { &export_chat_task, &sweep_chats_task, NULL };

const tims_schedule chat_schedules[] = {
    { .name = "sweep_chats", .task = &sweep_chats_task, .cron = "30 3 * * *", .doc = "Every night." },
    { 0 },
};
