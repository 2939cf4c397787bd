/* peer.c: who is asking, when a proxy stands between.
 *
 * X-Forwarded-For, X-Forwarded-Proto and X-Request-Id count only when the connection comes from a trusted
 * proxy; of a chain of addresses the last one that is not itself a trusted proxy is the client. */
#include "http_internal.h"

#include <arpa/inet.h>
#include <string.h>

typedef struct address {
    int family;
    uint8_t bytes[16];
    size_t bits;
} address;

/* What an IPv4 address begins with when it is written as an IPv6 one. */
static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool parse_address(tims_str text, address *ret_address)
{
    char terminated[HTTP__PEER_TEXT_MAX + 1];
    if (text.length == 0 || text.length >= sizeof(terminated))
        return false;
    memcpy(terminated, text.data, text.length);
    terminated[text.length] = 0;
    address parsed = { 0 };
    if (inet_pton(AF_INET, terminated, parsed.bytes) == 1) {
        parsed.family = AF_INET;
        parsed.bits = 32;
    } else if (inet_pton(AF_INET6, terminated, parsed.bytes) == 1) {
        parsed.family = AF_INET6;
        parsed.bits = 128;
        if (memcmp(parsed.bytes, mapped, sizeof(mapped)) == 0) {
            memmove(parsed.bytes, parsed.bytes + 12, 4);
            parsed.family = AF_INET;
            parsed.bits = 32;
        }
    } else {
        return false;
    }
    *ret_address = parsed;
    return true;
}

static bool has_prefix(const address *a, const address *network, size_t bits)
{
    if (a->family != network->family || memcmp(a->bytes, network->bytes, bits / 8) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));
    return ((a->bytes[bits / 8] ^ network->bytes[bits / 8]) & mask) == 0;
}

/* "10.0.0.7", "10.0.0.0/8", "::1", or a name that is compared as it is ("unix"). */
static bool matches(tims_str pattern, tims_str text)
{
    if (tims_str_equal(pattern, text))
        return true;
    address network = { 0 }, own = { 0 };
    tims_str bits_text = pattern;
    tims_str network_text = tims_str_cut(&bits_text, '/');
    if (!parse_address(network_text, &network) || !parse_address(text, &own))
        return false;
    int64_t bits = (int64_t)network.bits;
    if (bits_text.data && !tims_str_to_int(bits_text, 0, (int64_t)network.bits, &bits))
        return false;
    return has_prefix(&own, &network, (size_t)bits);
}

static bool matches_any(tims_names patterns, tims_str text)
{
    for (size_t i = 0; i < patterns.count; i++)
        if (matches(tims_str_from(patterns.items[i]), text))
            return true;
    return false;
}

bool http__peer_is_trusted(const tims_server_options *options, tims_str text)
{
    return matches_any(options->trusted_proxies, text);
}

bool http__peer_is_counted(const tims_server_options *options, tims_str text)
{
    return !matches_any(options->uncounted_peers, text) && !http__peer_is_trusted(options, text);
}

bool http__peer_network(tims_str text, uint8_t ret_network[HTTP__NETWORK_BYTES])
{
    address parsed = { 0 };
    if (!parse_address(text, &parsed))
        return false;
    memset(ret_network, 0, HTTP__NETWORK_BYTES);
    if (parsed.family == AF_INET6) {
        memcpy(ret_network, parsed.bytes, HTTP__NETWORK_BYTES / 2);
        return true;
    }
    memcpy(ret_network, mapped, sizeof(mapped));
    memcpy(ret_network + sizeof(mapped), parsed.bytes, 4);
    return true;
}

bool http__id_is_well_formed(tims_str id)
{
    if (id.length < 8 || id.length > HTTP__ID_TEXT_MAX)
        return false;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '_' || c == '.'))
            return false;
    }
    return true;
}

/* From the right: each trusted proxy vouches for the address to its left. False: nobody vouches for more. */
static bool follow_chain(const tims_server_options *options, tims_str chain, tims_str *client)
{
    size_t end = chain.length;
    while (end > 0 && http__peer_is_trusted(options, *client)) {
        size_t start = end;
        while (start > 0 && chain.data[start - 1] != ',')
            start--;
        address parsed;
        tims_str item = tims_str_trim(tims_str_slice(chain, start, end));
        if (!parse_address(item, &parsed))
            return false;
        *client = item;
        end = start > 0 ? start - 1 : 0;
    }
    return end == 0;
}

/* A proxy may add a line of its own behind what the client sent, so the last line comes first. */
static tims_str find_client(const tims_server_options *options, const tims_request *rq)
{
    tims_str client = rq->peer;
    for (size_t i = rq->header_count; i-- > 0;)
        if (tims_str_equal_ignoring_case(rq->headers[i].name, TIMS_STR("X-Forwarded-For")) &&
            !follow_chain(options, rq->headers[i].value, &client))
            break;
    return client;
}

static tims_str last_header(const tims_request *rq, tims_str name)
{
    for (size_t i = rq->header_count; i-- > 0;)
        if (tims_str_equal_ignoring_case(rq->headers[i].name, name))
            return rq->headers[i].value;
    return (tims_str){ 0 };
}

void http__peer_resolve(http__exchange *exchange)
{
    const tims_server_options *options = &exchange->worker->server->options;
    tims_request *rq = &exchange->rq;
    if (options->trusted_proxies.count == 0 || !http__peer_is_trusted(options, rq->peer))
        return;
    rq->peer = find_client(options, rq);
    tims_str protocol = last_header(rq, TIMS_STR("X-Forwarded-Proto"));
    if (protocol.data)
        rq->secure = tims_str_equal_ignoring_case(tims_str_trim(protocol), TIMS_STR("https"));
    tims_str id = tims_header_of(rq, TIMS_STR("X-Request-Id"));
    if (id.data && http__id_is_well_formed(id)) {
        memcpy(exchange->id, id.data, id.length);
        exchange->id[id.length] = 0;
        rq->id = (tims_str){ exchange->id, id.length };
    }
}
