/* SPDX-License-Identifier: Apache-2.0 */
/* What goes through the pipes between the agent and an executor, a program or its answer. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "facts.h"
#include "guest.h"

struct message {
	u32 bytes; /* of content */
	u8 content[MAX_PAYLOAD];
};

/* Read one, with one call where the pipe has all of it. 0, or -errno; -EPIPE where the stream ends
 * or what comes is none: then `bytes` is what came in its place, 0 for nothing. */
long read_message(int fd, struct message *message);

#endif
