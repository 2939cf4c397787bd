/* roster.c: from a name to the sockets that stand under it: members of a group, sockets of a user, of a
 * login.
 *
 * A hash table of rows; a row is a doubly linked list of seats embedded in what owns them. So entering and
 * leaving cost one look-up or none, however many there are, and telling all of them is a walk. An empty row
 * is not kept. One loop's own; no locks. */
#include "live/websocket_internal.h"

struct live__row {
    live__seat *first;
    size_t name_length;
    char name[];
};

struct live__roster {
    tims_map *rows;
};

live__roster *live__roster_new(void)
{
    live__roster *roster = calloc(1, sizeof *roster);
    TIMS_ASSERT(roster != NULL);
    roster->rows = tims_map_new();
    return roster;
}

void live__roster_free(live__roster **roster)
{
    if (*roster == NULL)
        return;
    TIMS_ASSERT(tims_map_count((*roster)->rows) == 0);
    tims_map_free(&(*roster)->rows);
    free(*roster);
    *roster = NULL;
}

static live__row *make_row(live__roster *roster, tims_str name)
{
    live__row *row = calloc(1, sizeof *row + name.length);
    TIMS_ASSERT(row != NULL);
    row->name_length = name.length;
    memcpy(row->name, name.data, name.length);
    (void)tims_map_set(roster->rows, name, row);
    return row;
}

bool live__roster_add(live__roster *roster, tims_str name, live__seat *seat, tims_websocket *websocket)
{
    TIMS_ASSERT(seat->row == NULL && name.length > 0);
    live__row *row = tims_map_get(roster->rows, name);
    bool is_first = row == NULL;
    if (is_first)
        row = make_row(roster, name);
    *seat = (live__seat){ .next = row->first, .row = row, .websocket = websocket };
    if (row->first != NULL)
        row->first->previous = seat;
    row->first = seat;
    return is_first;
}

bool live__roster_remove(live__roster *roster, live__seat *seat)
{
    live__row *row = seat->row;
    if (row == NULL)
        return false;
    if (seat->next != NULL)
        seat->next->previous = seat->previous;
    if (seat->previous != NULL)
        seat->previous->next = seat->next;
    else
        row->first = seat->next;
    *seat = (live__seat){ 0 };
    if (row->first != NULL)
        return false;
    (void)tims_map_remove(roster->rows, (tims_str){ row->name, row->name_length });
    free(row);
    return true;
}

live__seat *live__roster_first(const live__roster *roster, tims_str name)
{
    const live__row *row = tims_map_get(roster->rows, name);
    return row != NULL ? row->first : NULL;
}

live__seat *live__roster_next(const live__roster *roster, size_t *cursor)
{
    tims_str name;
    void *row;
    return tims_map_next(roster->rows, cursor, &name, &row) ? ((live__row *)row)->first : NULL;
}
