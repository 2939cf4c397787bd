/* greeting.c: what is said first on a connection: who we are, which database, and what kind of server it is.
 *
 * A Cluster answers most of what is asked here, and then loses what hashes to another of its servers; a
 * Sentinel has no data; a replica takes no writes; one that still reads its file from disk is not yet there.
 * Better to say so than to find out. */
#include "redis/redis_internal.h"

enum { GREETING_BYTES_MAX = 256 * 1024 };

static tims_status refuse(const redis__link *link, tims_error *err, tims_status status, const char *why)
{
    char detail[sizeof err->detail] = { 0 };
    if (err != NULL)
        memcpy(detail, err->detail, sizeof detail);
    (void)tims_fail(err, status, "redis_refused", "Redis at %.*s %s", TIMS_PRINT(link->redis->address.name),
                    why);
    tims_error_detail(err, "%s", detail);
    return status;
}

static tims_status log_in(redis__link *link, tims_arena *arena, tims_error *err)
{
    const redis__address *address = &link->redis->address;
    const tims_redis_reply *reply;
    if (address->password.data == NULL)
        return TIMS_OK;
    const tims_str words[] = { TIMS_STR("AUTH"), address->user, address->password };
    const tims_str without_user[] = { TIMS_STR("AUTH"), address->password };
    tims_slice_list command = { words, 3 };
    if (address->user.length == 0)
        command = (tims_slice_list){ without_user, 2 };
    tims_status status = redis__call(link, arena, command, &reply, err);
    return status == TIMS_INVALID
               ? refuse(link, err, TIMS_UNAUTHORIZED, "does not accept the user or password of the URL.")
               : status;
}

static tims_status select_database(redis__link *link, tims_arena *arena, tims_error *err)
{
    const tims_redis_reply *reply;
    if (link->redis->address.database == 0)
        return TIMS_OK;
    tims_str number = tims_print(arena, "%lld", (long long)link->redis->address.database);
    tims_status status =
        redis__call(link, arena, TIMS_REDIS_COMMAND(TIMS_STR("SELECT"), number), &reply, err);
    return status == TIMS_INVALID ? refuse(link, err, TIMS_INVALID, "has no such database.") : status;
}

static bool says(tims_str info, const char *line)
{
    return tims_str_find(info, tims_str_from(line)) != SIZE_MAX;
}

static tims_status judge(const redis__link *link, tims_str info, tims_error *err)
{
    if (says(info, "redis_mode:cluster") || says(info, "cluster_enabled:1"))
        return refuse(link, err, TIMS_INVALID, "is part of a Redis Cluster, which is not spoken here.");
    if (says(info, "redis_mode:sentinel"))
        return refuse(link, err, TIMS_INVALID, "is a Sentinel: name the server that it watches.");
    if (says(info, "\nrole:slave"))
        return refuse(link, err, TIMS_UNAVAILABLE, "is a replica: it takes no writes.");
    if (says(info, "\nloading:1"))
        return refuse(link, err, TIMS_UNAVAILABLE, "is still reading its data from disk.");
    return TIMS_OK;
}

static tims_status look(redis__link *link, tims_arena *arena, tims_error *err)
{
    const tims_redis_reply *reply;
    tims_error refused = { 0 };
    tims_status status = redis__call(link, arena, TIMS_REDIS_COMMAND(TIMS_STR("INFO")), &reply, &refused);
    if (status == TIMS_OK)
        return judge(link, tims_redis_text(reply), err);
    tims_str detail = tims_str_from(refused.detail);
    if (status == TIMS_INVALID && tims_str_starts_with(detail, TIMS_STR("NOPERM")))
        return TIMS_OK; /* a user that may not look: then it is believed */
    if (err != NULL)
        *err = refused;
    return tims_str_starts_with(detail, TIMS_STR("NOAUTH"))
               ? refuse(link, err, TIMS_UNAUTHORIZED, "asks for a password: redis://user:password@host")
               : status;
}

tims_status redis__greet(redis__link *link, tims_error *err)
{
    tims_arena *arena = tims_arena_new(GREETING_BYTES_MAX, NULL, NULL);
    tims_status status = log_in(link, arena, err);
    if (status == TIMS_OK)
        status = look(link, arena, err);
    if (status == TIMS_OK)
        status = select_database(link, arena, err);
    tims_arena_free(&arena);
    return status;
}
