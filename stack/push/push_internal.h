/* push_internal.h: what the files of this room share. */
#ifndef PUSH_INTERNAL_H
#define PUSH_INTERNAL_H

#include "tims/push.h"

enum { PUSH__MAGIC = 0x48535550, PUSH__SENDERS_MAX = 16, PUSH__PLATFORM_BYTES_MAX = 20 };

struct tims_push_room {
    uint32_t magic;
    const tims_push_sender *senders[PUSH__SENDERS_MAX];
    size_t sender_count;
};

tims_push_room *push__of(const tims_request *rq);
/* NULL: none. */
const tims_push_sender *push__find_sender(const tims_push_room *push, tims_str platform);

#endif
