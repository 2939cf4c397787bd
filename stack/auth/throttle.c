/* throttle: counts tries by key (an account, an address, both), each kind in windows of its own length.
 *
 * A try is counted before the password is looked at and taken back when it was right, so that a thousand
 * tries at the same moment are a thousand tries. The table has a fixed size: four places for each bucket, of
 * which the oldest window gives way; keys are hashed with a secret, so nobody can choose whom to push out. */
#include "auth/auth_internal.h"

#include <stdlib.h>

enum { BUCKETS = 4096, WAYS = 4 };

typedef struct slot {
    uint64_t key;
    int64_t start_us;
    int64_t count; /* 0: free */
} slot;

struct auth__throttle {
    pthread_mutex_t mutex;
    uint64_t seed[2];
    slot slots[BUCKETS][WAYS];
};

auth__throttle *auth__throttle_new(void)
{
    auth__throttle *throttle = calloc(1, sizeof *throttle);
    TIMS_ASSERT(throttle != NULL);
    TIMS_ASSERT(pthread_mutex_init(&throttle->mutex, NULL) == 0);
    tims_random(throttle->seed, sizeof throttle->seed);
    return throttle;
}

void auth__throttle_free(auth__throttle **throttle)
{
    if (*throttle == NULL)
        return;
    (void)pthread_mutex_destroy(&(*throttle)->mutex);
    free(*throttle);
    *throttle = NULL;
}

uint64_t auth__throttle_key(const auth__throttle *throttle, char kind, tims_str name)
{
    const uint64_t seed[2] = { throttle->seed[0] ^ (uint64_t)(unsigned char)kind, throttle->seed[1] };
    return tims_hash(name.data, name.length, seed);
}

static slot *find_slot(auth__throttle *throttle, uint64_t key)
{
    slot *bucket = throttle->slots[key % BUCKETS];
    for (int i = 0; i < WAYS; i++)
        if (bucket[i].count > 0 && bucket[i].key == key)
            return &bucket[i];
    return NULL;
}

static slot *take_slot(auth__throttle *throttle, uint64_t key, int64_t now_us)
{
    slot *bucket = throttle->slots[key % BUCKETS], *chosen = &bucket[0];
    for (int i = 0; i < WAYS; i++) {
        if (bucket[i].count == 0) {
            chosen = &bucket[i];
            break;
        }
        if (bucket[i].start_us < chosen->start_us)
            chosen = &bucket[i];
    }
    *chosen = (slot){ .key = key, .start_us = now_us };
    return chosen;
}

static bool is_open(auth__throttle *throttle, uint64_t key, auth__limit limit, int64_t now_us,
                    int *ret_retry_s)
{
    slot *s = find_slot(throttle, key);
    if (s != NULL && now_us - s->start_us >= limit.window_us)
        s->count = 0;
    if (s == NULL || s->count < limit.max)
        return true;
    *ret_retry_s = (int)((s->start_us + limit.window_us - now_us) / 1000000) + 1;
    return false;
}

static void count_one(auth__throttle *throttle, uint64_t key, int64_t now_us)
{
    slot *s = find_slot(throttle, key);
    if (s == NULL)
        s = take_slot(throttle, key, now_us);
    s->count++;
}

bool auth__throttle_look(auth__throttle *throttle, uint64_t key, auth__limit limit, int64_t now_us,
                         int *ret_retry_s)
{
    pthread_mutex_lock(&throttle->mutex);
    bool open = is_open(throttle, key, limit, now_us, ret_retry_s);
    pthread_mutex_unlock(&throttle->mutex);
    return open;
}

void auth__throttle_count(auth__throttle *throttle, uint64_t key, int64_t now_us)
{
    pthread_mutex_lock(&throttle->mutex);
    count_one(throttle, key, now_us);
    pthread_mutex_unlock(&throttle->mutex);
}

bool auth__throttle_try(auth__throttle *throttle, uint64_t key, auth__limit limit, int64_t now_us,
                        int *ret_retry_s)
{
    pthread_mutex_lock(&throttle->mutex);
    bool open = is_open(throttle, key, limit, now_us, ret_retry_s);
    if (open)
        count_one(throttle, key, now_us);
    pthread_mutex_unlock(&throttle->mutex);
    return open;
}

void auth__throttle_take_back(auth__throttle *throttle, uint64_t key)
{
    pthread_mutex_lock(&throttle->mutex);
    slot *s = find_slot(throttle, key);
    if (s != NULL)
        s->count--;
    pthread_mutex_unlock(&throttle->mutex);
}

void auth__throttle_clear(auth__throttle *throttle, uint64_t key)
{
    pthread_mutex_lock(&throttle->mutex);
    slot *s = find_slot(throttle, key);
    if (s != NULL)
        s->count = 0;
    pthread_mutex_unlock(&throttle->mutex);
}
