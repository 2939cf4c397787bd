/* rate.c: how many in a time, as throttles and limits are written. */
#include "tims/base.h"

bool tims_rate_parse(const char *text, tims_rate *ret_rate)
{
    tims_str rest = tims_str_from(text);
    if (tims_str_equal(rest, TIMS_STR("none"))) {
        *ret_rate = (tims_rate){ 0, 1 };
        return true;
    }
    int64_t count;
    if (!tims_str_to_int(tims_str_cut(&rest, '/'), 1, 1000000, &count) || rest.length != 1)
        return false;
    int64_t seconds = rest.data[0] == 's' ? 1 : rest.data[0] == 'm' ? 60 : rest.data[0] == 'h' ? 3600 : 0;
    if (seconds == 0)
        return false;
    *ret_rate = (tims_rate){ count, seconds * 1000000 };
    return true;
}
