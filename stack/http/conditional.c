/* conditional.c: what the client has already: entity tags, dates, ranges (RFC 9110, sections 13 and 14). */
#include "http_internal.h"

static tims_str opaque_part(tims_str etag)
{
    return tims_str_starts_with(etag, TIMS_STR("W/")) ? http__rest(etag, 2) : etag;
}

/* Tags may hold commas, so the list is read quote by quote. */
bool http__etag_is_in(tims_str list, tims_str etag, bool weakly)
{
    if (tims_str_equal(tims_str_trim(list), TIMS_STR("*")))
        return true;
    size_t at = 0;
    while (at < list.length) {
        size_t start = at;
        while (at < list.length && list.data[at] != '"')
            at++;
        bool is_weak = at >= start + 2 && list.data[at - 1] == '/' && list.data[at - 2] == 'W';
        size_t open = at++;
        while (at < list.length && list.data[at] != '"')
            at++;
        if (at >= list.length)
            return false;
        tims_str tag = tims_str_slice(list, open, ++at);
        if (!weakly && (is_weak || tims_str_starts_with(etag, TIMS_STR("W/"))))
            continue;
        if (tims_str_equal(tag, opaque_part(etag)))
            return true;
    }
    return false;
}

bool tims_not_modified(tims_request *rq, tims_str etag)
{
    tims_set_header(rq, TIMS_STR("ETag"), etag);
    if (rq->method != TIMS_METHOD_GET && rq->method != TIMS_METHOD_HEAD)
        return false;
    tims_str tags = tims_header_of(rq, TIMS_STR("If-None-Match"));
    if (tags.data)
        return http__etag_is_in(tags, etag, true);
    int64_t since = 0, modified = 0;
    return tims_http_date_parse(tims_header_of(rq, TIMS_STR("If-Modified-Since")), &since) &&
           tims_http_date_parse(http__out_header(rq, TIMS_STR("Last-Modified")), &modified) &&
           modified <= since;
}

bool tims_if_match(const tims_request *rq, tims_str etag)
{
    tims_str tags = tims_header_of(rq, TIMS_STR("If-Match"));
    return !tags.data || http__etag_is_in(tags, etag, true);
}

static bool read_offset(tims_str text, uint64_t *ret_value)
{
    int64_t value = 0;
    if (text.length == 0 || text.data[0] < '0' || text.data[0] > '9' ||
        !tims_str_to_int(text, 0, INT64_MAX, &value))
        return false;
    *ret_value = (uint64_t)value;
    return true;
}

static http__range_kind take_last(tims_str count_text, uint64_t size, uint64_t *ret_first,
                                  uint64_t *ret_length)
{
    uint64_t count = 0;
    if (!read_offset(count_text, &count))
        return HTTP__RANGE_NONE;
    if (count == 0 || size == 0)
        return HTTP__RANGE_BAD;
    *ret_length = count < size ? count : size;
    *ret_first = size - *ret_length;
    return HTTP__RANGE_PART;
}

http__range_kind http__range_parse(tims_str header, uint64_t size, uint64_t *ret_first, uint64_t *ret_length)
{
    tims_str rest = header;
    tims_str unit = tims_str_trim(tims_str_cut(&rest, '='));
    if (!rest.data || !tims_str_equal_ignoring_case(unit, TIMS_STR("bytes")) ||
        tims_str_find(rest, TIMS_STR(",")) != SIZE_MAX)
        return HTTP__RANGE_NONE;
    tims_str last_text = tims_str_trim(rest);
    tims_str first_text = tims_str_cut(&last_text, '-');
    if (!last_text.data)
        return HTTP__RANGE_NONE;
    if (first_text.length == 0)
        return take_last(last_text, size, ret_first, ret_length);
    uint64_t first = 0, last = INT64_MAX;
    if (!read_offset(first_text, &first) || (last_text.length > 0 && !read_offset(last_text, &last)) ||
        last < first)
        return HTTP__RANGE_NONE;
    if (first >= size)
        return HTTP__RANGE_BAD;
    *ret_first = first;
    *ret_length = (last < size - 1 ? last : size - 1) - first + 1;
    return HTTP__RANGE_PART;
}

bool http__range_applies(const tims_request *rq, tims_str etag, int64_t modified_s)
{
    tims_str condition = tims_header_of(rq, TIMS_STR("If-Range"));
    if (!condition.data)
        return true;
    int64_t date = 0;
    if (tims_http_date_parse(condition, &date))
        return date == modified_s;
    return http__etag_is_in(condition, etag, false) && !tims_str_equal(condition, TIMS_STR("*"));
}
