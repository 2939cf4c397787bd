#include "notes/notes.h"

extern const tims_task sweep_task, poll_task;
void send_mail(tims_request *rq, tims_id user, tims_str text);
tims_str write_digest(tims_request *rq, const note *notes, size_t count, int64_t days);
static long long done, total;
/* in functions */
digest arguments = { 0 };
tims_id user = { 0 };
(void)user;
(void)arguments;
(void)done;
(void)total;
