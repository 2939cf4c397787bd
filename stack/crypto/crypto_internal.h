/* crypto_internal.h: what the files of this room share. */
#ifndef TIMS_CRYPTO_INTERNAL_H
#define TIMS_CRYPTO_INTERNAL_H

#include "tims/crypto.h"

/* SHA-1, for the websocket handshake only, which asks for it; nothing secret depends on it. */
void crypto__sha1(tims_str message, uint8_t ret_digest[20]);

#endif
