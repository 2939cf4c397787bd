/* multipart_internal.h: what multipart.c asks of multipart_head.c. */
#ifndef TIMS_MULTIPART_INTERNAL_H
#define TIMS_MULTIPART_INTERNAL_H

#include "proto/proto_internal.h"

enum { PROTO__BOUNDARY_MAX = 70, PROTO__PART_HEADERS_MAX = 16, PROTO__PART_HEADER_BYTES_MAX = 4096 };

/* Cuts `; name=value` off `*rest`. False at the end or at an error: `ret_ok` tells which. */
bool proto__next_parameter(tims_arena *arena, tims_str *rest, tims_str *ret_name, tims_str *ret_value,
                           bool *ret_ok);
bool proto__find_boundary(tims_arena *arena, tims_str content_type, tims_str *ret_boundary);
/* `lines` are complete header lines, each ending in CRLF. */
bool proto__part_head_parse(tims_arena *arena, tims_str lines, tims_part_head *ret_head);
tims_str proto__clean_file_name(tims_str name);

#endif
