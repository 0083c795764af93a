// SPDX-License-Identifier: Apache-2.0
#include "message.h"
#include "numbers.h"

long read_message(int fd, struct message *message)
{
	u8 *whole = (u8 *)message;
	uptr wanted = sizeof(message->bytes), had = 0;

	message->bytes = 0;
	while (had < wanted) {
		long got = read_some(fd, whole + had, sizeof(*message) - had);

		if (got < 0)
			return got;
		had += (uptr)got;
		if (message->bytes > sizeof(message->content))
			return -EPIPE;
		if (had >= sizeof(message->bytes))
			wanted = sizeof(message->bytes) + message->bytes;
		if (had > wanted)
			return -EPIPE;
	}
	return 0;
}
