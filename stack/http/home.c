/* home.c: how many connections each home has: one IPv4 address, or one IPv6 /64, however it is written.
 *
 * A limit for the whole process alone lets one client take every place. The count is of the peer that is
 * really connected, over all loops: what a header claims is nobody's address yet. Behind a proxy or on this
 * machine many people share one peer, so trusted proxies and the peers the options name are not counted.
 *
 * One table behind one mutex, taken once as a connection comes and once as it goes. It is bounded by the
 * connections themselves, and its hash is keyed, so nobody can choose whom they share a chain with. */
#include "http_internal.h"

#include <stdlib.h>

#include "tims/crypto.h"

enum { CHAINS = 1024 };

struct http__home {
    http__home *next;
    uint8_t network[HTTP__NETWORK_BYTES];
    uint32_t count;
};

struct http__homes {
    pthread_mutex_t mutex;
    uint64_t seed[2];
    http__home *chains[CHAINS];
};

http__homes *http__homes_new(void)
{
    http__homes *homes = calloc(1, sizeof(*homes));
    TIMS_ASSERT(homes != NULL);
    pthread_mutex_init(&homes->mutex, NULL);
    tims_random(homes->seed, sizeof(homes->seed));
    return homes;
}

void http__homes_free(http__homes **homes)
{
    if (*homes == NULL)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        TIMS_ASSERT((*homes)->chains[i] == NULL);
    pthread_mutex_destroy(&(*homes)->mutex);
    free(*homes);
    *homes = NULL;
}

static http__home **chain_of(http__homes *homes, const uint8_t network[HTTP__NETWORK_BYTES])
{
    return &homes->chains[tims_hash(network, HTTP__NETWORK_BYTES, homes->seed) % CHAINS];
}

static http__home *find_or_add(http__homes *homes, const uint8_t network[HTTP__NETWORK_BYTES])
{
    http__home **chain = chain_of(homes, network);
    for (http__home *home = *chain; home; home = home->next)
        if (memcmp(home->network, network, HTTP__NETWORK_BYTES) == 0)
            return home;
    http__home *home = calloc(1, sizeof(*home));
    TIMS_ASSERT(home != NULL);
    memcpy(home->network, network, HTTP__NETWORK_BYTES);
    home->next = *chain;
    *chain = home;
    return home;
}

http__home *http__home_enter(http__homes *homes, tims_str peer, uint32_t *ret_count)
{
    uint8_t network[HTTP__NETWORK_BYTES];
    if (!http__peer_network(peer, network))
        return NULL;
    pthread_mutex_lock(&homes->mutex);
    http__home *home = find_or_add(homes, network);
    *ret_count = ++home->count;
    pthread_mutex_unlock(&homes->mutex);
    return home;
}

void http__home_leave(http__homes *homes, http__home **pointer)
{
    http__home *home = *pointer;
    if (home == NULL)
        return;
    *pointer = NULL;
    pthread_mutex_lock(&homes->mutex);
    TIMS_ASSERT(home->count > 0);
    if (--home->count == 0) {
        http__home **link = chain_of(homes, home->network);
        while (*link != home)
            link = &(*link)->next;
        *link = home->next;
        free(home);
    }
    pthread_mutex_unlock(&homes->mutex);
}
