/* throttle.c: token buckets, per user and per address.
 *
 * A bucket holds as many tokens as the rate allows in its period and refills evenly; each request takes one.
 * Memory is bounded: a fixed table of sets of eight buckets. Where a set is full, the bucket that is nearest
 * to full goes, since forgetting a full bucket changes nothing: whoever floods the table with fresh addresses
 * pushes out only those that were not near their limit. Buckets are found by a keyed hash, so nobody can
 * choose whom they share a set with.
 *
 * With Redis, rates per minute and hour are counted there, for all nodes; those per second, which nearly
 * every request meets, are not worth a question each. */
#include "rest/rest_internal.h"

#include "tims/crypto.h"

enum { SETS = 2048, WAYS = 8, LOCKS = 16, ADDRESS_FACTOR = 10 };

typedef struct bucket {
    uint64_t hash;      /* 0: free */
    int64_t full_at_us; /* when it will be full again; the tokens follow from it */
} bucket;

struct rest__throttle {
    uint64_t seed[2];
    tims_redis *redis; /* NULL: all rates are this node's own */
    tims_str redis_prefix;
    pthread_mutex_t locks[LOCKS];
    bucket buckets[SETS][WAYS];
};

static void destroy_locks(void *argument)
{
    rest__throttle *throttle = argument;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&throttle->locks[i]);
}

rest__throttle *rest__throttle_new(tims_arena *arena)
{
    rest__throttle *throttle = TIMS_NEW(arena, rest__throttle);
    tims_random(throttle->seed, sizeof(throttle->seed));
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&throttle->locks[i], NULL);
    tims_arena_defer(arena, destroy_locks, throttle);
    return throttle;
}

/* The key's bucket; else a free one; else the one nearest to full. */
static bucket *find_bucket(bucket *set, uint64_t hash)
{
    bucket *best = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].full_at_us < best->full_at_us)
            best = &set[i];
    }
    *best = (bucket){ .hash = hash };
    return best;
}

int64_t rest__throttle_take(rest__throttle *throttle, uint64_t key, tims_rate rate, int64_t now_us)
{
    if (rate.count == 0)
        return 0;
    uint64_t hash = key | 1;
    pthread_mutex_t *lock = &throttle->locks[hash / 2 % LOCKS];
    pthread_mutex_lock(lock);
    bucket *b = find_bucket(throttle->buckets[hash / 2 % SETS], hash);
    int64_t cost = rate.period_us / rate.count;
    int64_t full_at = (b->full_at_us > now_us ? b->full_at_us : now_us) + (cost > 0 ? cost : 1);
    int64_t wait = full_at - rate.period_us - now_us;
    if (wait <= 0)
        b->full_at_us = full_at;
    pthread_mutex_unlock(lock);
    return wait > 0 ? wait : 0;
}

/* Every read of a resource comes here, so nothing is printed: what is throttled and whose it is are the
 * seed. */
uint64_t rest__throttle_key(const rest__throttle *throttle, tims_str name, char kind, tims_str whom)
{
    const uint64_t seed[2] = { tims_hash(name.data, name.length, throttle->seed),
                               throttle->seed[1] ^ (uint64_t)(unsigned char)kind };
    return tims_hash(whom.data, whom.length, seed);
}

/* Who is throttled, for what. */
typedef struct subject {
    tims_str name, whom;
    char kind;
} subject;

/* The same on all nodes, and naming nobody. */
static tims_str shared_key(tims_request *rq, const rest__throttle *throttle, const subject *s)
{
    char hash[TIMS_TOKEN_HASH_TEXT_LENGTH];
    tims_token_hash(tims_print(rq->arena, "%S %c %S %S", throttle->redis_prefix, s->kind, s->name, s->whom),
                    hash);
    return tims_print(rq->arena, "%S:rate:%S", throttle->redis_prefix, (tims_str){ hash, sizeof hash });
}

/* The local bucket is drawn from in any case: it is what counts while Redis is away. */
static int64_t take(tims_request *rq, rest__throttle *throttle, const subject *s, tims_rate rate)
{
    uint64_t key = rest__throttle_key(throttle, s->name, s->kind, s->whom);
    int64_t wait_us = rest__throttle_take(throttle, key, rate, tims_monotonic_us()), shared_us;
    if (TIMS_LIKELY(throttle->redis == NULL || rate.period_us <= 1000000))
        return wait_us;
    const tims_redis_limit limit = { rate.count, rate.period_us };
    tims_status status = tims_redis_limit_bucket(throttle->redis, rq->arena, shared_key(rq, throttle, s),
                                                 limit, &shared_us, NULL);
    return status == TIMS_OK ? shared_us : wait_us;
}

static void take_or_raise(tims_request *rq, rest__throttle *throttle, const subject *s, tims_rate rate)
{
    int64_t wait_us = take(rq, throttle, s, rate);
    if (TIMS_LIKELY(wait_us == 0))
        return;
    tims_error err = { 0 };
    (void)tims_fail(&err, TIMS_THROTTLED, NULL, "%s", tims_status_text(TIMS_THROTTLED));
    err.retry_after_s = (int)((wait_us + 999999) / 1000000);
    tims_raise_error(rq, &err);
}

void rest__throttle_request(tims_request *rq, rest__throttle *throttle, tims_str name, tims_rate rate)
{
    tims_caller caller = tims_caller_of(rq);
    if (rate.count == 0 || caller.trusted)
        return;
    if (!caller.signed_in) {
        take_or_raise(rq, throttle, &(subject){ name, rq->peer, 'n' }, rate);
        return;
    }
    tims_str user = { (const char *)caller.user.bytes, sizeof(caller.user.bytes) };
    take_or_raise(rq, throttle, &(subject){ name, user, 'u' }, rate);
    rate.count *= ADDRESS_FACTOR; /* many users may sit behind one address */
    take_or_raise(rq, throttle, &(subject){ name, rq->peer, 'a' }, rate);
}

void rest__throttle_share(rest__throttle *throttle, tims_redis *redis, tims_str prefix)
{
    throttle->redis = redis;
    throttle->redis_prefix = prefix;
}

void tims_throttle(tims_request *rq, const char *name, const char *text)
{
    tims_rest *rest = rq->slots[TIMS_SLOT_REST];
    TIMS_CHECK_MAGIC(rest, REST__MAGIC); /* the begin hook puts it there */
    tims_rate rate;
    bool valid = tims_rate_parse(text, &rate);
    TIMS_ASSERT(valid); /* a literal in the app's code */
    rest__throttle_request(rq, rest->throttle, tims_str_from(name), rate);
}
